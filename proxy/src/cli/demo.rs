//! `sealgate demo`: the whole job without a network (DESIGN §3).
//!
//! [`cast`] makes images and signs some of them, [`upstream`] serves them on loopback as a registry does, a real gate stands in front of
//! it with a real policy, [`pull`] pulls each image through the gate over HTTP, and [`report`] says what happened and why.

mod archive;
pub(crate) mod cast;
mod image;
mod pull;
mod report;
pub(crate) mod setting;
pub(crate) mod upstream;

use std::io::IsTerminal;
use std::net::SocketAddr;

use clap::Args;

use super::exit::Failure;
use super::serve;
use super::serve::signals::Signals;
use cast::Cast;
use pull::Outcome;
use setting::Setting;

/// Arguments of `sealgate demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Where the demo's gate listens; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// End after the report, even on a terminal
    #[arg(long, conflicts_with = "keep")]
    pub once: bool,
    /// Leave the gate and its upstream running until Ctrl-C, to try the printed commands [default on a terminal]
    #[arg(long)]
    pub keep: bool,
}

/// One image of the demo, and what became of its pull.
struct Row {
    image: String,
    about: &'static str,
    expected: cast::Expected,
    outcome: Outcome,
}

impl Row {
    fn as_expected(&self) -> bool {
        match (self.expected, &self.outcome) {
            (cast::Expected::Pulled, Outcome::Pulled { .. }) | (cast::Expected::Cut, Outcome::Cut { .. }) => true,
            (cast::Expected::Refused, Outcome::Refused { status, .. }) => *status == http::StatusCode::FORBIDDEN,
            (cast::Expected::Pulled | cast::Expected::Cut | cast::Expected::Refused, _) => false,
        }
    }
}

/// Shows the whole job.
///
/// # Errors
/// When something cannot start, or a pull does not end as it should.
pub fn run(args: DemoArgs) -> Result<(), Failure> {
    serve::log::init_quiet();
    match serve::runtime()?.block_on(play(&args)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::error("the gate did not answer as it must: please report this")),
        Err(error) => Err(Failure::error(error)),
    }
}

/// Whether every image was answered as it must be.
async fn play(args: &DemoArgs) -> Result<bool, String> {
    let cast = Cast::assemble()?;
    let upstream = upstream::start(cast.content()).await.map_err(|error| format!("cannot start the demo's upstream registry: {error}"))?;
    let setting = Setting::build(args.listen, upstream, &cast).await?;
    let mut rows = Vec::new();
    for role in cast.roles() {
        let outcome = pull::pull(setting.gate(), role.repository, cast::TAG).await;
        rows.push(Row { image: format!("{}:{}", role.repository, cast::TAG), about: role.about, expected: role.expected, outcome });
    }
    print!("{}", report::text(&setting, &rows));
    let good = rows.iter().all(Row::as_expected);
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if good && !args.once && (args.keep || terminal) {
        println!("{}", report::by_hand(&setting));
        let mut signals = Signals::take().map_err(|error| format!("signals cannot be taken: {error}"))?;
        signals.stop().await;
        println!();
    }
    setting.end().await;
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_admits_the_signed_image_and_nothing_else() {
        let args = DemoArgs { listen: SocketAddr::from(([127, 0, 0, 1], 0)), once: true, keep: false };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(play(&args)), Ok(true));
    }
}
