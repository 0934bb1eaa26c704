//! What could not be looked at, so that nobody takes silence for health. PURE.

use super::Check;
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::Sight;

/// The check.
pub const CHECK: Check = Check { rules: &[&NOT_READ, &SILENT], look };

const NOT_READ: Rule = Rule {
    id: "XF-R001",
    title: "could not be read",
    effort: Effort::Ready,
    why: "Rules that need it were silent.",
    fix: "Give the account the right to list it, or accept the gap.",
};
const SILENT: Rule = Rule {
    id: "XF-R002",
    title: "announced API that does not answer",
    effort: Effort::NeedsChange,
    why: "The server lists the group, and the program behind it is away. Its objects could not be seen; deleting a namespace hangs.",
    fix: "Repair the APIService, or delete it.",
};

fn look(sight: &Sight<'_>, found: &mut Findings) {
    for side in [sight.source, sight.target] {
        for gap in &side.gaps {
            found.about(&NOT_READ, format!("{} on {}", gap.what, side.name), gap.why.clone());
        }
        for version in side.served.silent() {
            found.about(&SILENT, version.clone(), format!("on {}", side.name));
        }
    }
}
