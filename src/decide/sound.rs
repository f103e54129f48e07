//! A status that contradicts itself, made sound before anything is decided on it: another version wrote it, or a hand.
//! What cannot be true is forgotten, never guessed forward: no share, no step and no evidence comes of it.

use crate::api::{
    LlmRolloutStatus, Percent,
    aside::Aside,
    status::{Attempt, Color},
};

/// The status as far as it can be true.
pub(super) fn sound(mut status: LlmRolloutStatus) -> LlmRolloutStatus {
    if let Some(quarrel) = status.quarrel.as_mut() {
        quarrel.count = quarrel.count.clamp(0, 1_000);
    }
    let nothing_serves = status.active.is_none();
    if let Some(attempt) = status.attempt.as_mut() {
        within_bounds(attempt);
        if nothing_serves && attempt.ended_at.is_none() {
            // The first revision takes no steps.
            attempt.step_entered_at = None;
            (attempt.step, attempt.weight, attempt.bake) = (0, Percent::NONE, 0);
        }
        if status.active_revision.as_ref() == Some(&attempt.revision) && !nothing_serves {
            // What serves already is released by nobody.
            attempt.ended_at = attempt.ended_at.or(Some(attempt.clock_from));
        }
    }
    let running = status.attempt.as_ref().filter(|a| a.ended_at.is_none());
    let fits = |revision: &str, weight: Percent| {
        running.is_some_and(|a| a.revision == revision)
            && (Percent::NONE..=Percent::ALL).contains(&weight)
            && !nothing_serves
    };
    status.intent = status.intent.filter(|i| fits(&i.revision, i.weight));
    if let Some(intent) = status.intent.as_mut().filter(|i| i.weight > 0) {
        intent.aside = Aside::default();
    }
    if running.is_some() {
        // A color is retired when its release is over.
        status.retiring = None;
        let other = status.active.map(Color::other);
        status.candidate = other.or(status.candidate).or(Some(Color::Blue));
    }
    status
}

fn within_bounds(attempt: &mut Attempt) {
    attempt.id = attempt.id.clamp(0, i64::MAX - 1);
    attempt.step = attempt.step.clamp(0, 100);
    attempt.weight = attempt.weight.clamp(Percent::NONE, Percent::ALL);
    if attempt.weight > 0 {
        // What has a share has nothing beside it.
        attempt.aside = Aside::default();
    }
    // Bakes come after 100 %, and are measured.
    let bakes = attempt.weight == 100 && attempt.step_entered_at.is_some();
    attempt.bake = if bakes { attempt.bake.clamp(0, 100) } else { 0 };
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::sound;
    use crate::api::{LlmRolloutStatus, Percent, status::Color};

    const AT: &str = "2027-01-15T08:00:00Z";

    /// The status of a release at 20 %, with this changed, as far as it can be true.
    fn kept(change: &Value) -> LlmRolloutStatus {
        let mut status = json!({
            "active": "blue", "activeRevision": "r1", "candidate": "green",
            "attempt": {"id": 2, "revision": "r2", "startedAt": AT, "clockFrom": AT, "step": 2, "weight": 20, "stepEnteredAt": AT},
            "intent": {"op": "2-3", "revision": "r2", "step": 3, "weight": 50, "at": AT},
        });
        for (path, value) in change.as_object().unwrap() {
            let (parent, key) = path.rsplit_once('/').unwrap();
            status.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value.clone());
        }
        sound(serde_json::from_value(status).unwrap())
    }

    #[test]
    fn a_step_that_is_written_down_is_one_of_this_release() {
        assert!(kept(&json!({})).intent.is_some());
        for (change, why) in [
            (json!({"/intent/revision": "r3"}), "of another revision"),
            (json!({"/intent/weight": 101}), "more than everything"),
            (json!({"/intent/weight": -1}), "less than nothing"),
            (json!({"/active": null}), "while nothing serves"),
            (json!({"/attempt/endedAt": AT}), "after the release was over"),
            (json!({"/attempt": null}), "without a release"),
        ] {
            assert_eq!(kept(&change).intent, None, "{why}");
        }
        assert!(kept(&json!({"/intent/weight": 0})).intent.is_some(), "a dark step");
        assert!(kept(&json!({"/intent/weight": 100})).intent.is_some(), "the last step");
    }

    #[test]
    fn what_serves_already_is_not_under_way() {
        let status = kept(&json!({"/activeRevision": "r2"}));
        assert!(status.attempt.unwrap().ended_at.is_some() && status.intent.is_none());
        assert!(kept(&json!({})).attempt.unwrap().ended_at.is_none());
        assert!(kept(&json!({"/active": null, "/activeRevision": "r2"})).attempt.unwrap().ended_at.is_none());
    }

    #[test]
    fn figures_outside_their_bounds_are_brought_inside() {
        let attempt = |change: Value| kept(&change).attempt.unwrap();
        assert_eq!(attempt(json!({"/attempt/weight": 101})).weight, 100);
        assert_eq!(attempt(json!({"/attempt/weight": -1})).weight, 0);
        assert_eq!(attempt(json!({"/attempt/step": 101})).step, 100);
        assert_eq!(attempt(json!({"/attempt/step": -1})).step, 0);
        assert_eq!(attempt(json!({"/attempt/id": i64::MAX})).id, i64::MAX - 1, "there is a next one");
        assert_eq!(attempt(json!({"/attempt/id": -1})).id, 0);
    }

    /// A share is written without it, so what is said to stand beside one could never be taken out.
    #[test]
    fn what_stands_beside_a_share_belongs_to_a_dark_step() {
        let aside = json!({"match": [{"header": {"name": "x-tester", "value": "yes"}}]});
        let both = |weight: i32| {
            let said = json!({"/attempt/weight": weight, "/attempt/aside": aside, "/intent/weight": weight, "/intent/aside": aside});
            let status = kept(&said);
            (status.attempt.unwrap().aside.is_nothing(), status.intent.unwrap().aside.is_nothing())
        };
        assert_eq!((both(0), both(5)), ((false, false), (true, true)));
    }

    #[test]
    fn a_bake_is_one_of_everything_that_is_measured() {
        let bake = |weight: i32, entered: Value, bake: i32| {
            kept(&json!({"/attempt/weight": weight, "/attempt/stepEnteredAt": entered, "/attempt/bake": bake}))
                .attempt
                .unwrap()
                .bake
        };
        assert_eq!(bake(100, json!(AT), 2), 2);
        assert_eq!(bake(100, json!(AT), 101), 100);
        assert_eq!(bake(100, json!(AT), -1), 0);
        assert_eq!(bake(50, json!(AT), 2), 0, "before everything was on it");
        assert_eq!(bake(100, Value::Null, 2), 0, "before it was measured");
    }

    #[test]
    fn a_release_is_on_the_other_color_and_nothing_is_retired_meanwhile() {
        let retiring = json!({"color": "blue", "revision": "r0", "since": AT});
        let status = kept(&json!({"/candidate": "blue", "/retiring": retiring}));
        assert_eq!((status.candidate, status.retiring), (Some(Color::Green), None));
        let over = kept(&json!({"/attempt/endedAt": AT, "/retiring": retiring}));
        assert!(over.retiring.is_some(), "it is, when the release is over");
        let first = kept(&json!({"/active": null, "/candidate": null}));
        let attempt = first.attempt.unwrap();
        assert_eq!(first.candidate, Some(Color::Blue));
        assert_eq!(
            (attempt.step, attempt.weight, attempt.step_entered_at),
            (0, Percent::NONE, None),
            "the first takes no steps"
        );
    }
}
