//! What clients and observers see while a plane moves. IO.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::front::Answers;
use super::{Checked, Run, Short, ensure};
use crate::balancer::Side;
use crate::observe::clock::Moment;
use crate::plane::sheet::Connections;
use crate::policy::Weight;

/// Weights of a journey in percent: up, up all the way, and back.
const JOURNEY: [u16; 4] = [25, 100, 50, 0];

/// Fewest requests at each weight of a journey.
const AT_EACH: u64 = 50;

/// Clients that ask all the time meanwhile.
const CLIENTS: usize = 4;

/// Moves of all journeys.
fn moves(run: &Run<'_>) -> usize {
    JOURNEY.len() * run.effort.turns as usize
}

pub(super) async fn follows(run: &Run<'_>) -> Checked {
    let (mut longest, mut latest) = (Duration::ZERO, Duration::ZERO);
    for turn in 0..run.effort.turns {
        for (to, side) in [(Weight::FULL, Side::Target), (Weight::ZERO, Side::Source)] {
            // Where there is a delay, it is that of clients who keep what they were told.
            let mut client = run.ground.client(!run.sheet.delay.is_zero());
            // Its connection stands before the write.
            client.ask().await;
            let from = run.weight().await?;
            let began = Moment::now();
            run.plane.shift(&run.fence, from, to, &run.origin.setting).await?;
            longest = longest.max(began.elapsed());
            let written = Moment::now();
            loop {
                let answered = client.ask().await;
                if answered == Some(side) {
                    break;
                }
                let since = written.elapsed();
                latest = latest.max(since);
                ensure(since <= run.sheet.delay, || {
                    format!("{since:.0?} after write {turn} to {to} a request was answered by {answered:?}")
                })?;
            }
        }
    }
    let writes = format!("{} writes, each within {longest:.0?}", run.effort.turns * 2);
    Ok(if run.sheet.delay.is_zero() {
        format!("{writes}, and not one request late")
    } else {
        format!("{writes}, and clients followed within {latest:.1?}, as its delay of {:?} says", run.sheet.delay)
    })
}

pub(super) async fn between(run: &Run<'_>) -> Checked {
    let (mut looks, observer) = (0_u64, run.ground.driver());
    let moves = moves(run);
    let mut from = run.weight().await?;
    for percent in JOURNEY.into_iter().cycle().take(moves) {
        let to = run.nearest(Weight::percent_saturating(percent)).await?;
        let shift = run.plane.shift(&run.fence, from, to, &run.origin.setting);
        tokio::pin!(shift);
        loop {
            tokio::select! {
                biased;
                shifted = &mut shift => break shifted?,
                seen = observer.observe() => {
                    let seen = seen?.weight;
                    looks += 1;
                    ensure(seen.is_between(from, to), || format!("between {from} and {to} it showed {seen}"))?;
                }
            }
            tokio::task::yield_now().await;
        }
        let shown = run.weight().await?;
        ensure(shown == to, || format!("brought to {to} it shows {shown}"))?;
        from = to;
    }
    Ok(format!("{looks} looks during {moves} moves"))
}

pub(super) async fn lossless(run: &Run<'_>) -> Checked {
    let (moves, kept) = under_way(run, true).await?;
    if run.sheet.connections != Connections::IdleClosed {
        ensure(kept.lost == 0, || format!("{} of {} requests were lost during {moves} moves", kept.lost, kept.all()))?;
        return Ok(format!("0 of {} during {moves} moves", kept.all()));
    }
    let (moves, new) = under_way(run, false).await?;
    ensure(new.lost == 0, || {
        format!("{} of {} requests on new connections were lost during {moves} moves", new.lost, new.all())
    })?;
    let (kept, all, new) = (kept.lost, kept.all(), new.all());
    Err(Short::No(format!("{kept} of {all} requests on kept connections met their end, 0 of {new} on new ones")))
}

/// What becomes of requests during a journey, on connections that are `kept` or a new one for each.
async fn under_way(run: &Run<'_>, kept: bool) -> Result<(usize, Answers), Short> {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let asked = AtomicU64::new(0);
    let clients = (0..CLIENTS).map(|_| {
        let (stopped, asked) = (stopped.clone(), &asked);
        async move {
            let (mut client, mut answers) = (run.ground.client(false), Answers::default());
            while !*stopped.borrow() {
                if !kept {
                    client = run.ground.client(false);
                }
                answers.count(client.ask().await);
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
            answers
        }
    });
    let journey = async {
        let moved = journey(run, &asked).await;
        stop.send_replace(true);
        moved
    };
    let (answers, moved) = tokio::join!(futures::future::join_all(clients), journey);
    Ok((moved?, answers.into_iter().sum()))
}

/// Moves, with some requests at each weight.
async fn journey(run: &Run<'_>, asked: &AtomicU64) -> Result<usize, Short> {
    let moves = moves(run);
    for percent in JOURNEY.into_iter().cycle().take(moves) {
        run.go(run.nearest(Weight::percent_saturating(percent)).await?).await?;
        let before = asked.load(Ordering::Relaxed);
        while asked.load(Ordering::Relaxed) < before + AT_EACH {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(moves)
}
