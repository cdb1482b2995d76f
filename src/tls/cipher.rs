//! Which cipher suites to offer first.

use rustls::{CipherSuite, SupportedCipherSuite, crypto::CryptoProvider, crypto::ring};

/// ring's cryptography. Without AES instructions ChaCha20-Poly1305 is several times as fast as AES.
pub(super) fn provider(has_aes: bool) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !has_aes {
        // The sort is stable: what is left of the order stays.
        provider.cipher_suites.sort_by_key(|suite| !is_chacha(suite));
    }
    provider
}

fn is_chacha(suite: &SupportedCipherSuite) -> bool {
    matches!(
        suite.suite(),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    )
}

/// Whether the CPU has AES instructions; the Raspberry Pi has them from model 5 on.
#[cfg(target_arch = "aarch64")]
pub(super) fn has_aes() -> bool {
    const HWCAP_AES: usize = 1 << 3;
    rustix::param::linux_hwcap().0 & HWCAP_AES != 0
}

/// Whether the CPU has AES instructions; ARMv8 in its 32-bit state tells them in the second word.
#[cfg(target_arch = "arm")]
pub(super) fn has_aes() -> bool {
    const HWCAP2_AES: usize = 1;
    rustix::param::linux_hwcap().1 & HWCAP2_AES != 0
}

/// Whether the CPU has AES instructions.
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
pub(super) fn has_aes() -> bool {
    std::is_x86_feature_detected!("aes")
}

/// Whether the CPU has AES instructions: small ones of other kinds have none.
#[cfg(not(any(target_arch = "aarch64", target_arch = "arm", target_arch = "x86", target_arch = "x86_64")))]
pub(super) fn has_aes() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chacha_comes_first_where_aes_is_slow() {
        let first = |has_aes: bool| is_chacha(&provider(has_aes).cipher_suites[0]);
        assert!(first(false) && !first(true));
        assert_eq!(provider(false).cipher_suites.len(), provider(true).cipher_suites.len());
    }
}
