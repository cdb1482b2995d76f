//! The command `cloudtalker`: arguments to configuration to the agent, or to one of its tools.

use cloudtalker::{
    cli::{self, Command, Run},
    config::{Config, LogTo},
    shell::{self, handed::Handed},
    tools,
};
use log::LevelFilter;
use std::{
    io::{self, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(Command::Run(run)) => run_agent(*run),
        Ok(Command::Send(send)) => tools::finish("send", || tools::send::run(&send)),
        Ok(Command::Listen(listen)) => tools::finish_lasting("listen", || tools::listen::run(&listen)),
        Ok(Command::Status(status)) => tools::finish("status", || tools::status::run(&status)),
        Ok(Command::Check(check)) => tools::check::run(&check),
        Ok(Command::Bundle(bundle)) => tools::finish("bundle", || tools::bundle::run(&bundle)),
        Err(early) => early.tell(severity()),
    }
}

fn run_agent(run: Run) -> ExitCode {
    // Before anything is opened.
    let handed = Handed::take();
    match Config::load(&run) {
        Ok(config) => {
            shell::log::init(config.log_to, config.log_level);
            shell::run(run, config, handed)
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}cloudtalker: {error}", severity());
            // Nobody may read what an init script's standard error says.
            if LogTo::find(&run) == LogTo::Syslog {
                shell::log::init(LogTo::Syslog, LevelFilter::Error);
                log::error!("{error}");
                shell::log::finish();
            }
            ExitCode::from(cli::exit::USAGE)
        }
    }
}

/// What the journal takes from a line's begin: that it is an error.
fn severity() -> &'static str {
    if shell::log::leads_to_journal() { "<3>" } else { "" }
}
