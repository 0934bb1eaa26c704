//! How far the versions are apart, and what the two servers have switched on. PURE.

use std::collections::BTreeSet;

use super::Check;
use crate::assess::estate::Side;
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::Sight;
use crate::cluster::{ServerVersion, text_at};

/// The check.
pub const CHECK: Check = Check { rules: &[&IN_PLACE, &KUBELET, &GATES, &ADMISSION], look };

const IN_PLACE: Rule = Rule {
    id: "XF-V030",
    title: "too far apart to upgrade in place",
    effort: Effort::Ready,
    why: "A control plane upgraded in place goes one minor version at a time, and the community advises against more than two in \
          one go. Moving to a cluster beside it has no such rule.",
    fix: "Nothing, if you move; otherwise go through every version in between.",
};
const KUBELET: Rule = Rule {
    id: "XF-V031",
    title: "kubelet too far from its API server",
    effort: Effort::NeedsChange,
    why: "A kubelet may not be newer than its API server, and not more than three minor versions older (two before 1.28).",
    fix: "Upgrade the node, or replace it, before its server is upgraded any further.",
};
const GATES: Rule = Rule {
    id: "XF-V032",
    title: "feature gate away from its default on the target",
    effort: Effort::Ready,
    why: "An alpha feature that is on, or a beta one that is off, makes the target different from what its version says.",
    fix: "Know why it is set; the source does not say which gates it has before 1.26.",
};
const ADMISSION: Rule = Rule {
    id: "XF-V033",
    title: "admission plugin on one side only",
    effort: Effort::Ready,
    why: "What is filled in or refused when an object is created differs between the two clusters.",
    fix: "Compare --enable-admission-plugins; plugins that are newer than the source cannot have been there.",
};

fn look(sight: &Sight<'_>, found: &mut Findings) {
    if let (Some((1, from)), Some((1, to))) = (sight.source.version.number, sight.target.version.number)
        && to > from + 2
    {
        found.about(&IN_PLACE, "", format!("{} minor versions from 1.{from} to 1.{to}", to - from));
    }
    for side in [sight.source, sight.target] {
        kubelets(side, found);
    }
    gates(sight.target, found);
    admission(sight, found);
}

fn kubelets(side: &Side, found: &mut Findings) {
    let Some((major, server)) = side.version.number else { return };
    let oldest = server.saturating_sub(if server >= 28 { 3 } else { 2 });
    for node in side.of("Node") {
        let Some(said) = text_at(node.value(), "/status/nodeInfo/kubeletVersion") else { continue };
        let Some((same, kubelet)) = ServerVersion::new(said, "", "").number else { continue };
        if (same, kubelet) != (major, kubelet) || kubelet > server || kubelet < oldest {
            let what = format!("kubelet {said} with API server {} on {}", side.version, side.name);
            found.on(&KUBELET, node.object(), "status.nodeInfo.kubeletVersion", what);
        }
    }
}

fn gates(target: &Side, found: &mut Findings) {
    for (name, gate) in &target.metrics.gates {
        let what = match (gate.stage.as_str(), gate.on) {
            ("ALPHA", true) => "alpha and on",
            // The gates of all alphas or betas, which are off everywhere, are themselves counted as such.
            ("BETA", false) if !name.starts_with("All") => "beta and off",
            _ => continue,
        };
        found.about(&GATES, name.clone(), format!("{what} on {}", target.name));
    }
}

fn admission(sight: &Sight<'_>, found: &mut Findings) {
    let (from, to): (&BTreeSet<_>, &BTreeSet<_>) = (&sight.source.metrics.admission, &sight.target.metrics.admission);
    if from.is_empty() || to.is_empty() {
        return;
    }
    for name in from.symmetric_difference(to) {
        let side = if from.contains(name) { &sight.source.name } else { &sight.target.name };
        found.about(&ADMISSION, name.clone(), format!("only seen on {side}"));
    }
}
