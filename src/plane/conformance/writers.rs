//! What is written, by whom, and what is left alone. IO.

use super::{Checked, Run, Short, ensure, fails};
use crate::fence::Fence;
use crate::plane::PlaneError;
use crate::plane::sheet::{Condition, Resolution};
use crate::policy::Weight;

/// A weight that every plane with some servers can represent.
const HALF: Weight = Weight::HALF;

fn unlike(expected: &str, got: Result<(), PlaneError>) -> Short {
    let got = got.map_or_else(|error| error.meaning(), |()| "done");
    Short::Fails(format!("it was {got} instead of {expected}"))
}

pub(super) async fn exact(run: &Run<'_>) -> Checked {
    let Some(fine) = run.ground.too_fine() else {
        if run.sheet.resolution != Resolution::Every {
            return Err(Short::Untried("no weight is known that it refuses".to_owned()));
        }
        let fine = Weight::from_basis_points(1).unwrap_or_default();
        run.go(fine).await?;
        return Ok(format!("it represents every weight: {fine} was written and read back"));
    };
    let before = run.plane.observe().await?;
    let PlaneError::NotRepresentable { below, above, .. } = (match run.plane.propose(&before, fine) {
        Err(error) => error,
        Ok(()) => return fails(format!("{fine} was proposed and not refused")),
    }) else {
        return fails(format!("{fine} was refused for another reason"));
    };
    let shifted = run.plane.shift(&run.fence, before.weight, fine, &run.origin.setting).await;
    if !matches!(shifted, Err(PlaneError::NotRepresentable { .. })) {
        return Err(unlike("refused as not representable", shifted));
    }
    ensure(run.plane.observe().await?.setting == before.setting, || "something was written all the same".to_owned())?;
    for near in [below, above] {
        let proposed = run.plane.propose(&before, near);
        ensure(proposed.is_ok(), || format!("{near}, named as the nearest, is refused too"))?;
    }
    Ok(format!("{fine} refused, {below} and {above} named, nothing written"))
}

pub(super) async fn idempotent(run: &Run<'_>) -> Checked {
    let from = run.weight().await?;
    let mut settings = Vec::new();
    for _ in 0..3 {
        run.plane.shift(&run.fence, from, HALF, &run.origin.setting).await?;
        settings.push(run.plane.observe().await?.setting);
    }
    ensure(settings.iter().all(|setting| *setting == settings[0]), || format!("three writes, and then {settings:?}"))?;
    for _ in 0..2 {
        run.home().await?;
        let shown = run.plane.observe().await?.setting;
        ensure(shown == run.origin.setting, || format!("the origin restored shows {shown}"))?;
    }
    Ok("three shifts and two restores".to_owned())
}

pub(super) async fn restores(run: &Run<'_>) -> Checked {
    for percent in [1, 50, 99, 100] {
        run.go(run.nearest(Weight::percent_saturating(percent)).await?).await?;
        run.home().await?;
        let view = run.plane.observe().await?;
        ensure((view.weight, &view.setting) == (run.origin.weight, &run.origin.setting), || {
            format!("from {percent}% it came back to {} with {}", view.weight, view.setting)
        })?;
    }
    Ok("from 1%, 50%, 99% and 100%".to_owned())
}

pub(super) async fn foreign(run: &Run<'_>) -> Checked {
    let Some(before) = run.ground.others().await? else {
        return Err(Short::No("it holds nothing but the two sides".to_owned()));
    };
    for percent in [1, 50, 100, 0] {
        run.go(run.nearest(Weight::percent_saturating(percent)).await?).await?;
        let now = run.ground.others().await?;
        ensure(now.as_ref() == Some(&before), || format!("at {percent}% it is {now:?}, before it was {before:?}"))?;
    }
    run.home().await?;
    ensure(run.ground.others().await? == Some(before.clone()), || "the way back changed it".to_owned())?;
    Ok(format!("{} bytes, the same after 5 writes", before.len()))
}

pub(super) async fn drift(run: &Run<'_>) -> Checked {
    run.go(HALF).await?;
    let theirs = run.nearest(Weight::percent_saturating(25)).await?;
    run.ground.meddle(theirs).await?;
    let shown = run.weight().await?;
    ensure(shown == theirs, || format!("somebody else wrote {theirs}, it shows {shown}"))?;
    let setting = run.plane.observe().await?.setting;
    let shifted = run.plane.shift(&run.fence, HALF, Weight::FULL, &run.origin.setting).await;
    if !matches!(shifted, Err(PlaneError::Changed { .. })) {
        return Err(unlike("refused as changed", shifted));
    }
    let kept = run.plane.observe().await?;
    ensure(kept.setting == setting, || format!("what somebody else wrote became {}", kept.weight))?;
    Ok(format!("{theirs} in place of {HALF} was seen and kept"))
}

pub(super) async fn two(run: &Run<'_>) -> Checked {
    let other = run.ground.driver();
    let (up, down) = (Weight::FULL, Weight::ZERO);
    // One after the other: the second one knows no better than that it is still where it was.
    run.go(HALF).await?;
    other.shift(&run.fence, HALF, up, &run.origin.setting).await?;
    let late = run.plane.shift(&run.fence, HALF, down, &run.origin.setting).await;
    if !matches!(late, Err(PlaneError::Changed { .. })) {
        return Err(unlike("refused as changed", late));
    }
    let shown = run.weight().await?;
    ensure(shown == up, || format!("the late writer changed {up} to {shown}"))?;
    if run.sheet.condition == Condition::LooksFirst {
        return Ok("one after the other; at the same time the fence has to hold one back".to_owned());
    }
    let meetings = 4 * run.effort.turns;
    for _ in 0..meetings {
        run.home().await?;
        run.go(HALF).await?;
        let (one, two) = tokio::join!(
            run.plane.shift(&run.fence, HALF, up, &run.origin.setting),
            other.shift(&run.fence, HALF, down, &run.origin.setting),
        );
        let shown = run.weight().await?;
        let won = match (one, two) {
            (Ok(()), Err(PlaneError::Changed { .. })) => up,
            (Err(PlaneError::Changed { .. }), Ok(())) => down,
            (one, two) => return fails(format!("two at a time came to {one:?} and {two:?}")),
        };
        ensure(shown == won, || format!("who wrote {won} won, and it shows {shown}"))?;
    }
    Ok(format!("one after the other, and {meetings} times at the same time"))
}

pub(super) async fn fenced(run: &Run<'_>) -> Checked {
    run.go(HALF).await?;
    let before = run.plane.observe().await?.setting;
    // A lease that nobody granted.
    let former = Fence::lease(Default::default());
    let shift = run.plane.shift(&former, HALF, Weight::FULL, &run.origin.setting).await;
    let restore = run.plane.restore(&former, &run.origin.setting).await;
    let drain = run.plane.drain_source(&former).await;
    for written in [shift, restore, drain] {
        if !matches!(written, Err(PlaneError::Fenced(_))) {
            return Err(unlike("fenced", written));
        }
    }
    let after = run.plane.observe().await?;
    ensure(after.setting == before && after.source.usable == run.origin.source.usable, || {
        format!("a former leader left {} and {} usable", after.setting, after.source.usable)
    })?;
    Ok("shift, restore and drain".to_owned())
}

pub(super) async fn errors(run: &Run<'_>) -> Checked {
    let troubles = run.ground.troubles().await?;
    if troubles.is_empty() {
        return Err(Short::No("there is no way between it and us".to_owned()));
    }
    let mut met = Vec::new();
    for trouble in troubles {
        let (plane, origin) = (&trouble.plane, &run.origin);
        let met_by = match plane.observe().await {
            // Who may look may not be let write.
            Ok(view) => plane.shift(&run.fence, view.weight, HALF, &origin.setting).await,
            Err(error) => Err(error),
        };
        let meaning = met_by.map_or_else(|error| error.meaning(), |()| "no error");
        ensure(meaning == trouble.means, || format!("{}: {meaning} instead of {}", trouble.what, trouble.means))?;
        met.push(format!("{}: {meaning}", trouble.what));
    }
    let kept = run.plane.observe().await?.setting;
    ensure(kept == run.origin.setting, || format!("one of them left {kept}"))?;
    Ok(met.join("; "))
}
