//! A cloud within this process: a WebSocket over mutual TLS, whose every frame is seen, and stands on one clock with what
//! the camera program hears. Uploads go elsewhere.

use super::{Board, DEADLINE, Identity, Server};
use async_tungstenite::tungstenite::{Bytes, Message, WebSocket, accept};
use cloudtalker::wire::cloud::{ToAgent, ToCloud};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{
    fs::OpenOptions,
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::Arc,
};

pub struct Cloud {
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    authority: String,
}

/// One agent's.
pub struct Session(WebSocket<StreamOwned<ServerConnection, TcpStream>>);

impl Cloud {
    /// It takes cameras whose certificates the server of this identity's authority has signed.
    pub fn new(camera: &Identity) -> Cloud {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();

        let mut cameras = RootCertStore::empty();
        cameras.add(CertificateDer::from_pem_file(&camera.ca).unwrap()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(cameras.into(), provider.clone()).build();
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.unwrap())
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
            );
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Cloud { listener, tls: Arc::new(tls.unwrap()), authority: authority.pem() }
    }

    /// A board whose session is here, and whose uploads go to the server that knows this camera.
    pub fn board(&self, camera: &Identity, server: &Server) -> Board {
        let board = Board::of(&format!("localhost:{}/", self.listener.local_addr().unwrap().port()), camera);
        let mut authorities = OpenOptions::new().append(true).open(&board.identity.ca).unwrap();
        authorities.write_all(self.authority.as_bytes()).unwrap();
        board.with(&["--upload_url", &server.upload_url()])
    }

    /// Waits for the agent, and says the first word.
    pub fn session(&self) -> Session {
        // An agent that is no more may have called before.
        let mut session = loop {
            let (stream, _) = self.listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            let connection = ServerConnection::new(self.tls.clone()).unwrap();
            if let Ok(socket) = accept(StreamOwned::new(connection, stream)) {
                break Session(socket);
            }
        };
        session.hears_state();
        session.says(&ToAgent { pir_armed: Some(false), ..ToAgent::default() });
        session.hears_state();
        session
    }
}

impl Session {
    pub fn says(&mut self, message: &ToAgent) {
        self.0.send(Message::Text(serde_json::to_string(message).unwrap().into())).unwrap();
    }

    /// Waits for the next state that the agent tells; whether it is armed.
    pub fn hears_state(&mut self) -> bool {
        loop {
            let Message::Text(text) = self.0.read().unwrap() else { continue };
            if let ToCloud::State(state) = serde_json::from_str(&text).unwrap() {
                return state.pir_armed;
            }
        }
    }

    /// Waits for the answer.
    pub fn pings(&mut self) {
        self.0.send(Message::Ping(Bytes::from_static(b"there?"))).unwrap();
        while !matches!(self.0.read().unwrap(), Message::Pong(_)) {}
    }

    pub fn hears_ping(&mut self) {
        while !matches!(self.0.read().unwrap(), Message::Ping(_)) {}
    }
}
