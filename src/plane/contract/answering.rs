//! The other end of the contract, for a plane of this process. IO: that of the plane.

use super::message::{Answer, CONTRACT, Meaning, Request, Verb};
use crate::fence::Fence;
use crate::plane::{Plane, PlaneError};

/// Does what a request says and answers it; one that is not understood is refused.
///
/// Whoever sent it has asked its fence.
pub async fn answer(plane: &dyn Plane, request: &[u8]) -> Vec<u8> {
    let answer = match serde_json::from_slice::<Request<'_>>(request) {
        Ok(Request { contract, verb }) if contract == CONTRACT => {
            carry_out(plane, verb).await.unwrap_or_else(Answer::from)
        }
        Ok(Request { contract, .. }) => {
            Answer::trouble(Meaning::Refused, format!("this end speaks {CONTRACT}, and not {contract:?}"))
        }
        Err(error) => Answer::trouble(Meaning::Refused, format!("this is no request of {CONTRACT}: {error}")),
    };
    // Numbers and texts go to JSON whatever they are.
    serde_json::to_vec(&answer).unwrap_or_default()
}

async fn carry_out(plane: &dyn Plane, verb: Verb<'_>) -> Result<Answer, PlaneError> {
    let fence = Fence::lock();
    match verb {
        Verb::Observe => return Ok(Answer::seen(plane.observe().await?)),
        Verb::Shift { from, to, origin } => plane.shift(&fence, from, to, &origin).await?,
        Verb::Restore { setting } => plane.restore(&fence, &setting).await?,
        Verb::Drain => plane.drain_source(&fence).await?,
    }
    Ok(Answer::well())
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::super::{Line, SHEET, Spoken};
    use super::*;
    use crate::plane::memory::Memory;
    use crate::policy::Weight;

    /// A line to a plane of this process.
    struct Here(Memory);

    #[async_trait]
    impl Line for Here {
        async fn exchange(&self, request: String) -> Result<Vec<u8>, PlaneError> {
            Ok(answer(&self.0, request.as_bytes()).await)
        }

        fn place(&self) -> String {
            "here".to_owned()
        }
    }

    #[tokio::test]
    async fn a_plane_behind_both_ends_is_the_plane() {
        let plane = Memory::default();
        let spoken = Spoken { line: Here(plane.clone()), sheet: SHEET };
        let fence = Fence::lock();
        let origin = spoken.observe().await.unwrap();
        assert_eq!((origin.weight, &origin.source), (Weight::ZERO, &plane.observe().await.unwrap().source));
        spoken.shift(&fence, Weight::ZERO, Weight::HALF, &origin.setting).await.unwrap();
        plane.drift(Weight::percent_saturating(70));
        let changed = spoken.shift(&fence, Weight::ZERO, Weight::HALF, &origin.setting).await.unwrap_err();
        assert!(matches!(changed, PlaneError::Changed { observed, .. } if observed == Weight::percent_saturating(70)));
        spoken.restore(&fence, &origin.setting).await.unwrap();
        assert_eq!(plane.observe().await.unwrap().weight, Weight::ZERO);
        spoken.drain_source(&fence).await.unwrap();
        assert_eq!(plane.observe().await.unwrap().source.usable, 0);
    }

    #[tokio::test]
    async fn what_is_not_understood_is_refused_and_says_why() {
        for (request, why) in [
            (r#"{"contract": "crossfade.dev/plane/v2", "verb": "observe"}"#, "and not \\\"crossfade.dev/plane/v2\\\""),
            (r#"{"contract": "crossfade.dev/plane/v1", "verb": "shove"}"#, "unknown variant `shove`"),
            (r#"{"contract": "crossfade.dev/plane/v1", "verb": "shift", "to": 1}"#, "missing field `from`"),
            (r#"{"contract": "crossfade.dev/plane/v1", "verb": "sh"#, "no request"),
        ] {
            let answer = String::from_utf8(answer(&Memory::default(), request.as_bytes()).await).unwrap();
            assert!(answer.contains(r#""meaning":"refused""#) && answer.contains(why), "{request}: {answer}");
        }
    }
}
