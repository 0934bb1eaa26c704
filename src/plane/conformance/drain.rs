//! Sessions, what is in flight, and the end of a side. IO.

use std::time::Duration;

use super::front::ask;
use super::{Beyond, Checked, Run, Short, ensure, fails};
use crate::balancer::Side;
use crate::observe::clock::Moment;
use crate::plane::PlaneError;
use crate::plane::sheet::{Affinity, InFlight};
use crate::policy::Weight;

/// Longest time from the end of the last request to the plane saying that nothing is in flight.
const DEADLINE: Duration = Duration::from_secs(10);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Time in which a request has certainly reached its backend.
const ARRIVAL: Duration = Duration::from_millis(200);

/// Requests of one client that show where it is kept.
const ASKED: usize = 20;

/// Clients that are watched as the weight passes them: that all are on one side of it happens by chance once in millions.
const COMPANY: usize = 24;

fn allowed(run: &Run<'_>) -> Result<(), Short> {
    let refused = Beyond("nobody said that the source may be drained");
    if run.effort.drain { Ok(()) } else { Err(refused.into()) }
}

/// A client that is kept on the source from now on.
async fn kept(run: &Run<'_>) -> Result<Box<dyn super::Client>, Short> {
    run.go(Weight::ZERO).await?;
    let mut client = run.ground.client(true);
    let first = client.ask().await;
    ensure(first == Some(Side::Source), || format!("at 0% a new client was answered by {first:?}"))?;
    Ok(client)
}

/// Waits until nobody goes by what they were told before.
async fn forgotten(run: &Run<'_>) {
    tokio::time::sleep(run.sheet.delay).await;
}

async fn stays(client: &mut dyn super::Client, side: Side) -> Result<(), Short> {
    for _ in 0..ASKED {
        let answered = client.ask().await;
        ensure(answered == Some(side), || format!("a client that belongs to the {side} was answered by {answered:?}"))?;
    }
    Ok(())
}

pub(super) async fn sessions(run: &Run<'_>) -> Checked {
    if run.sheet.affinity == Affinity::None {
        let mut client = kept(run).await?;
        run.go(Weight::FULL).await?;
        forgotten(run).await;
        stays(&mut *client, Side::Target).await?;
        return Err(Short::No("it keeps no clients: one with cookies moves with the weight".to_owned()));
    }
    if run.sheet.affinity == Affinity::MovesOnce {
        return passed(run).await;
    }
    allowed(run)?;
    let mut client = kept(run).await?;
    run.go(Weight::HALF).await?;
    stays(&mut *client, Side::Source).await?;
    run.go(Weight::FULL).await?;
    stays(&mut *client, Side::Source).await?;
    let new = ask(run.ground, 100).await;
    ensure(new.source == 0 && new.lost == 0, || format!("at 100% {} new clients came to the source", new.source))?;
    run.plane.drain_source(&run.fence).await?;
    let moved = stays(&mut *client, Side::Target).await;
    run.ground.admit().await?;
    moved?;
    Ok("kept at 50% and 100% while new ones follow the weight, moved by the drain".to_owned())
}

/// Clients that the weight passes: on its way up each goes over once, on its way down each comes back once.
async fn passed(run: &Run<'_>) -> Checked {
    let mut clients = Vec::new();
    for _ in 0..COMPANY {
        clients.push((kept(run).await?, Side::Source));
    }
    let mut gone = Vec::new();
    for (percent, towards) in
        [25, 50, 75, 100].map(|up| (up, Side::Target)).into_iter().chain([(50, Side::Source), (0, Side::Source)])
    {
        let weight = run.nearest(Weight::percent_saturating(percent)).await?;
        run.go(weight).await?;
        for (client, side) in &mut clients {
            let now = client.ask().await;
            let now = now.ok_or_else(|| Short::Fails(format!("at {weight} a kept client was answered by nobody")))?;
            ensure(now == *side || now == towards, || {
                format!("while the weight moved to {weight}, a client of the {side} went to the {now}")
            })?;
            stays(&mut **client, now).await?;
            *side = now;
        }
        let count = clients.iter().filter(|(_, side)| *side == Side::Target).count();
        ensure(percent != 50 || (1..COMPANY).contains(&count), || {
            format!("at {weight} {count} of {COMPANY} had moved")
        })?;
        gone.push(format!("{count} at {weight}"));
    }
    Ok(format!("of {COMPANY} clients {} had moved, each of them once", gone.join(", ")))
}

pub(super) async fn drains(run: &Run<'_>) -> Checked {
    allowed(run)?;
    let mut idle = kept(run).await?;
    let mut busy = run.ground.client(false);
    let lingering = async {
        let began = Moment::now();
        busy.linger().await.map(|answered| (answered, began.elapsed()))
    };
    let drained = async {
        if run.sheet.in_flight == InFlight::Counted {
            until(run, |in_flight| in_flight > 0).await?;
        } else {
            // There is nothing to see yet, so the request is given the time to arrive.
            tokio::time::sleep(ARRIVAL).await;
        }
        run.go(Weight::FULL).await?;
        run.plane.drain_source(&run.fence).await?;
        if matches!(run.sheet.in_flight, InFlight::Ending | InFlight::Remembered) {
            until(run, |in_flight| in_flight > 0).await?;
        }
        forgotten(run).await;
        stays(&mut *idle, Side::Target).await
    };
    let (lingered, drained) = tokio::join!(lingering, drained);
    let ended = match (lingered, drained) {
        (Ok((Some(Side::Source), took)), Ok(())) => match run.sheet.in_flight {
            InFlight::Counted | InFlight::Ending => until(run, |in_flight| in_flight == 0)
                .await
                .map(|since| format!("a request of {took:.0?} ended well, and 0 in flight was seen {since:.0?} later")),
            InFlight::Remembered => until(run, |in_flight| in_flight == 0).await.and_then(|_| {
                Err(Short::No(format!(
                    "a request of {took:.0?} ended well, and nobody sees it; what is seen is that the drained side is forgotten"
                )))
            }),
            InFlight::WhereTold => Ok(format!("a request of {took:.0?} ended well; its sheet promises no more")),
        },
        (Ok((answered, _)), Ok(())) => fails(format!("a request that was in flight was answered by {answered:?}")),
        (Err(beyond), _) => Err(beyond.into()),
        (_, Err(failed)) => Err(failed),
    };
    run.ground.admit().await?;
    ended
}

pub(super) async fn tunnels(run: &Run<'_>) -> Checked {
    allowed(run)?;
    run.go(Weight::ZERO).await?;
    let mut tunnel = match run.ground.client(false).tunnel().await {
        Ok(Some(tunnel)) => tunnel,
        Ok(None) => return Err(Short::No("it leaves no connection for another protocol".to_owned())),
        Err(_) if !run.ground.has_backends() => return Err(Short::No("it has no backends".to_owned())),
        Err(beyond) => return Err(beyond.into()),
    };
    let outlived = async {
        ensure(tunnel.say().await == Some(Side::Source), || "at 0% a WebSocket did not lead to the source".to_owned())?;
        run.go(Weight::FULL).await?;
        run.plane.drain_source(&run.fence).await?;
        let seen = !matches!(run.sheet.in_flight, InFlight::WhereTold | InFlight::Remembered);
        if seen {
            until(run, |in_flight| in_flight > 0).await?;
        }
        ensure(tunnel.say().await == Some(Side::Source), || "a shift and a drain ended a WebSocket".to_owned())?;
        drop(tunnel);
        if run.sheet.in_flight == InFlight::Remembered {
            return Err(Short::No("it outlived a shift and a drain, and nobody sees it".to_owned()));
        }
        if !seen {
            return Ok("it outlived a shift and a drain; the sheet promises no more".to_owned());
        }
        let since = until(run, |in_flight| in_flight == 0).await?;
        Ok(format!("it outlived a shift and a drain, and 0 in flight was seen {since:.0?} after its end"))
    };
    let outlived = outlived.await;
    run.ground.admit().await?;
    outlived
}

/// Waits for what is in flight on the source to be as wanted.
async fn until(run: &Run<'_>, wanted: fn(u64) -> bool) -> Result<Duration, Short> {
    let began = Moment::now();
    loop {
        let in_flight = run.plane.observe().await.map_err(|error: PlaneError| Short::from(error))?.source.in_flight;
        if wanted(in_flight) {
            return Ok(began.elapsed());
        }
        ensure(began.elapsed() < DEADLINE, || format!("after {DEADLINE:?} it still says {in_flight} in flight"))?;
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) async fn drained(run: &Run<'_>) -> Checked {
    allowed(run)?;
    run.go(Weight::FULL).await?;
    run.plane.drain_source(&run.fence).await?;
    let well = ask(run.ground, run.effort.requests).await;
    let usable = run.plane.observe().await?.source.usable;
    let alone = match run.ground.lose_target(false).await {
        Ok(()) => {
            let alone = ask(run.ground, 100).await;
            run.ground.lose_target(true).await.map(|()| Some(alone))
        }
        Err(Beyond(_)) => Ok(None),
    };
    run.ground.admit().await?;
    ensure(usable == 0, || format!("it says that {usable} of a drained side can be used"))?;
    ensure(well.source == 0 && well.lost == 0, || format!("{} requests reached a drained side", well.source))?;
    let Some(alone) = alone? else {
        return Ok(format!("0 of {} requests; the target was not taken away", run.effort.requests));
    };
    ensure(alone.source == 0, || format!("with the target gone, {} of 100 reached the drained side", alone.source))?;
    ensure(alone.target == 0, || "the target was not gone".to_owned())?;
    Ok(format!("0 of {} requests, and 0 of 100 with the target gone", run.effort.requests))
}
