//! Arguments in, exit status out.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cloudtalker-server: the runtime could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let status = runtime.block_on(cloudtalker_server::cli::run(std::env::args()));
    // A join in progress is on a blocking thread and due again at the next start: nothing waits for it.
    runtime.shutdown_background();
    status
}
