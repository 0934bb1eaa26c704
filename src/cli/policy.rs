//! `crossfade policy`: what can be said of a policy without a migration.

use clap::Subcommand;

use super::backtest::{self, BacktestArgs};
use super::explain::{self, Explain};
use super::lint::{self, Lint};
use super::{Exit, Global};

#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// Find every mistake in Migrations and ShiftPolicies, and say what they can see
    #[command(after_help = lint::EXAMPLES)]
    Lint(Lint),
    /// Ask every metric of a policy now, and say what it comes to
    #[command(after_help = explain::EXAMPLES)]
    Explain(Explain),
    /// Replay recorded traffic through a policy: false alarms, and how soon it finds what
    #[command(after_help = backtest::EXAMPLES)]
    Backtest(BacktestArgs),
}

pub(super) async fn policy(global: &Global, policy: Policy) -> anyhow::Result<Exit> {
    match policy {
        Policy::Lint(lint) => lint::lint(global, &lint),
        Policy::Explain(explain) => explain::explain(global, explain).await,
        Policy::Backtest(asked) => backtest::run_backtest(global, asked).await,
    }
}
