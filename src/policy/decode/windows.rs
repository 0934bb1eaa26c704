//! Windows of a ShiftPolicy. PURE.

use crate::policy::cursor::Cursor;
use crate::policy::window::{Effect, RangeError, Ranges, Window, Windows, Zone};

const HELP: &str = "write Fri 16:00 - Mon 08:00, or Mon-Fri 09:00 - 17:00 for each of these days";

/// The windows of a policy, which have to leave some time in which it can advance.
pub(super) fn windows(at: &Cursor<'_>) -> Option<Windows> {
    let windows = Windows(at.each(|item| window(&item))?);
    if windows.never_open() {
        return at.refuse("never open, so that nothing could ever advance", None);
    }
    Some(windows)
}

fn window(at: &Cursor<'_>) -> Option<Window> {
    let mut fields = at.fields()?;
    let range = fields.variant(&["allow", "deny"]).and_then(|(effect, at)| {
        let effect = if effect == "allow" { Effect::Allow } else { Effect::Deny };
        Some((effect, ranges(&at)?))
    });
    let zone = fields.require("timezone").and_then(|at| match at.text()?.parse::<Zone>() {
        Ok(zone) => Some(zone),
        Err(error) => {
            at.refuse(error.to_string(), Some("write a name of the IANA database, such as Europe/Berlin or UTC"))
        }
    });
    fields.finish();
    let (effect, ranges) = range?;
    Some(Window { effect, ranges, zone: zone? })
}

fn ranges(at: &Cursor<'_>) -> Option<Ranges> {
    match at.text()?.parse::<Ranges>() {
        Ok(ranges) => Some(ranges),
        Err(error @ RangeError::Form) => at.refuse(error.to_string(), Some(HELP)),
        Err(error) => at.refuse(error.to_string(), None),
    }
}
