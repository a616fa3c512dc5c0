//! Each rule once, and then many visitors in random interleavings over a real matchmaker.

use std::collections::HashMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::mailbox::{Inbox, mailbox};
use crate::matchmaking::{Matchmaker, Memory, Ticket};
use crate::protocol::{Description, Fingerprint, PayloadType, Port, Pwd, Ufrag};

fn now() -> Now {
    Now { instant: Instant::now(), unix: 1_795_305_600 }
}

fn description(setup: Setup) -> Description {
    Description {
        ufrag: Ufrag::new("abcd").expect("a ufrag"),
        pwd: Pwd::new("abcdefghijklmnopqrstuv").expect("a pwd"),
        fingerprint: Fingerprint::new("0".repeat(64)).expect("a fingerprint"),
        setup,
        payload_type: PayloadType::new(111).expect("a payload type"),
    }
}

fn join() -> Input {
    Input::Frame(ClientMessage::Join {
        languages: Languages::new(vec!["en".to_owned()]).expect("a language"),
        role: Role::Either,
        avoid_recent: true,
        struggling: Struggling(false),
        proof: None,
    })
}

fn hello() -> Input {
    Input::Frame(ClientMessage::Hello { resume: None })
}

fn leave() -> Input {
    Input::Frame(ClientMessage::Leave {})
}

const PARTNER: Person = Person { visitor: VisitorId(9), whence: None };
const CALL: CallId = Uuid::from_u128(7);
const OTHER_CALL: CallId = Uuid::from_u128(8);

fn describe(setup: Setup) -> Input {
    Input::Frame(ClientMessage::Describe { call: CALL, description: description(setup) })
}

fn connected() -> Input {
    Input::Frame(ClientMessage::Connected { call: CALL })
}

fn gone(why: EndReason) -> Input {
    Input::Mail(Mail::Gone { call: CALL, why })
}

/// A visitor whose partner's inbox the test holds.
struct Scene {
    visitor: Visitor,
    now: Now,
    tickets: u64,
    partner: Inbox,
    mailbox: Mailbox,
}

impl Scene {
    fn new() -> Self {
        let (mailbox, partner) = mailbox();
        Self { visitor: Visitor::default(), now: now(), tickets: 0, partner, mailbox }
    }

    fn waiting() -> Self {
        let mut scene = Self::new();
        scene.put(hello());
        scene.put(join());
        scene
    }

    fn matched(offerer: bool) -> Self {
        let mut scene = Self::waiting();
        scene.put(scene.matched_mail(TicketId(1), offerer));
        scene
    }

    fn negotiated() -> Self {
        let mut scene = Self::matched(true);
        scene.put(describe(Setup::Actpass));
        scene.put(Input::Mail(Mail::Describe { call: CALL, description: description(Setup::Active) }));
        scene
    }

    fn talking() -> Self {
        let mut scene = Self::negotiated();
        scene.put(connected());
        scene
    }

    fn matched_mail(&self, ticket: TicketId, offerer: bool) -> Input {
        Input::Mail(Mail::Matched(ticket, self.half(offerer, Some(PARTNER))))
    }

    fn half(&self, offerer: bool, partner: Option<Person>) -> Match {
        Match {
            call: CALL,
            side: if offerer { Side::B } else { Side::A },
            offerer,
            partner,
            mailbox: self.mailbox.clone(),
            relay: None,
        }
    }

    /// The effects in short.
    fn put(&mut self, input: Input) -> Vec<String> {
        let tickets = &mut self.tickets;
        let effects = self.visitor.handle(input, self.now, || {
            *tickets += 1;
            TicketId(*tickets)
        });
        let joined = effects.iter().map(|effect| match effect {
            Effect::Send(ServerMessage::Problem { code, .. }) => format!("problem {code:?}"),
            Effect::Send(ServerMessage::Ended { why, .. }) => format!("ended {why:?}"),
            Effect::Send(message) => {
                let json = serde_json::to_value(message).expect("a frame");
                format!("send {}", json["type"].as_str().expect("a type"))
            }
            Effect::Welcome(call) => format!("welcome {}", call.is_some()),
            Effect::Matched { offerer, .. } => format!("matched {offerer}"),
            Effect::HearYourself => "hear yourself".to_owned(),
            Effect::Waiting => "send waiting".to_owned(),
            Effect::Waited(took, found) => {
                assert!(found.is_none_or(|partner| partner == PARTNER));
                format!("waited {} {}", took.as_secs(), found.is_some())
            }
            Effect::Join(wait) => format!("join {}", wait.ticket.0),
            Effect::LeaveQueue(ticket) => format!("leave {}", ticket.0),
            Effect::Tell(mailbox, mail) => {
                assert!(mailbox.send(mail.clone()));
                match mail {
                    Mail::Gone { why, .. } => format!("tell gone {why:?}"),
                    Mail::Describe { .. } => "tell describe".to_owned(),
                    Mail::Candidate { .. } => "tell candidate".to_owned(),
                    Mail::Restart { .. } => "tell restart".to_owned(),
                    Mail::Matched(..) => "tell matched".to_owned(),
                    Mail::Unreachable { .. } => "tell unreachable".to_owned(),
                }
            }
            Effect::KeepApart(_) => "keep apart".to_owned(),
            Effect::Dropped(partner) => {
                assert_eq!(*partner, PARTNER);
                "dropped".to_owned()
            }
            Effect::NotConnected(partner) => {
                assert_eq!(*partner, PARTNER);
                "not connected".to_owned()
            }
            Effect::Report(partner, category) => {
                assert_eq!(*partner, PARTNER);
                format!("report {category:?}")
            }
            Effect::Revoke(_) => "revoke".to_owned(),
        });
        joined.collect()
    }

    fn pass(&mut self, by: Duration) {
        self.now = self.now.after(by);
    }
}

#[test]
fn hello_comes_first_and_once() {
    let mut scene = Scene::new();
    assert_eq!(scene.put(join()), ["problem UnexpectedHello"]);
    assert_eq!(scene.put(leave()), ["problem UnexpectedHello"]);
    assert_eq!(scene.put(hello()), ["welcome false"]);
    assert_eq!(scene.put(hello()), ["problem UnexpectedHello"]);
}

#[test]
fn a_second_join_changes_nothing() {
    let mut scene = Scene::waiting();
    assert_eq!(scene.put(join()), ["problem AlreadyWaiting"]);
    assert_eq!(scene.put(leave()), ["waited 0 false", "leave 1"]);
    let mut scene = Scene::talking();
    assert_eq!(scene.put(join()), ["problem AlreadyInCall"]);
    scene.pass(QUICK);
    assert_eq!(scene.put(leave()), ["keep apart", "revoke", "tell gone Left"]);
    assert_eq!(scene.put(join()), ["send waiting", "join 2"]);
}

#[test]
fn what_was_wished_for_is_forgotten_when_the_call_has_begun() {
    let kept = |scene: &Scene| match &scene.visitor.phase {
        Phase::InCall(call) => call.wait.is_some(),
        phase => panic!("not in a call: {phase:?}"),
    };
    let mut scene = Scene::negotiated();
    assert!(kept(&scene), "it may still lead back to one's place");
    scene.put(connected());
    assert!(!kept(&scene));
}

#[test]
fn leaving_is_harmless_when_idle() {
    let mut scene = Scene::new();
    scene.put(hello());
    assert!(scene.put(leave()).is_empty());
}

#[test]
fn a_match_for_a_wait_given_up_is_refused() {
    let mut scene = Scene::waiting();
    scene.put(leave());
    assert_eq!(scene.put(scene.matched_mail(TicketId(1), true)), ["tell gone Vanished"]);
    scene.put(join());
    assert_eq!(scene.put(scene.matched_mail(TicketId(1), true)), ["tell gone Vanished"]);
    assert_eq!(scene.put(scene.matched_mail(TicketId(2), true)), ["matched true"]);
}

#[test]
fn the_offerer_describes_first_and_each_once() {
    let mut scene = Scene::matched(true);
    assert_eq!(scene.put(describe(Setup::Active)), ["problem UnexpectedDescription"]);
    assert_eq!(scene.put(describe(Setup::Actpass)), ["tell describe"]);
    assert_eq!(scene.put(describe(Setup::Actpass)), ["problem UnexpectedDescription"]);

    let mut scene = Scene::matched(false);
    assert_eq!(scene.put(describe(Setup::Active)), ["problem UnexpectedDescription"]);
    let offer = Input::Mail(Mail::Describe { call: CALL, description: description(Setup::Actpass) });
    assert_eq!(scene.put(offer), ["send describe"]);
    assert_eq!(scene.put(describe(Setup::Actpass)), ["problem UnexpectedDescription"]);
    assert_eq!(scene.put(describe(Setup::Passive)), ["tell describe"]);
}

#[test]
fn what_belongs_to_another_call_is_ignored() {
    let mut scene = Scene::talking();
    let port = Port::new(50_000_u16).expect("a port");
    for input in [
        Input::Frame(ClientMessage::Connected { call: OTHER_CALL }),
        Input::Frame(ClientMessage::Candidate { call: OTHER_CALL, port: port.clone() }),
        Input::Frame(ClientMessage::Describe { call: OTHER_CALL, description: description(Setup::Actpass) }),
        Input::Mail(Mail::Candidate { call: OTHER_CALL, port }),
        Input::Mail(Mail::Describe { call: OTHER_CALL, description: description(Setup::Actpass) }),
        Input::Mail(Mail::Gone { call: OTHER_CALL, why: EndReason::Left }),
    ] {
        assert!(scene.put(input).is_empty());
    }
    scene.pass(QUICK);
    assert_eq!(scene.put(leave()), ["keep apart", "revoke", "tell gone Left"]);
}

#[test]
fn candidates_and_restarts_have_bounds() {
    let mut scene = Scene::talking();
    let candidate =
        || Input::Frame(ClientMessage::Candidate { call: CALL, port: Port::new(50_000_u16).expect("a port") });
    let restart = || {
        Input::Frame(ClientMessage::Restart {
            call: CALL,
            ufrag: Ufrag::new("wxyz").expect("a ufrag"),
            pwd: Pwd::new("abcdefghijklmnopqrstuv").expect("a pwd"),
        })
    };
    for _ in 0..MAX_CANDIDATES {
        assert_eq!(scene.put(candidate()), ["tell candidate"]);
    }
    assert_eq!(scene.put(candidate()), ["problem TooMany"]);
    for _ in 0..RESTART_BURST {
        assert_eq!(scene.put(restart()), ["tell restart"]);
    }
    assert_eq!(scene.put(restart()), ["problem TooMany"]);
    scene.pass(RESTART_PACE);
    assert_eq!(scene.put(restart()), ["tell restart"]);
    assert_eq!(scene.put(candidate()), ["tell candidate"], "a restart gathers anew");

    let mut early = Scene::matched(true);
    assert_eq!(early.put(restart()), ["problem UnexpectedDescription"]);
}

#[test]
fn whoever_loses_a_partner_before_the_call_began_goes_back() {
    for mut scene in [Scene::matched(true), Scene::matched(false), Scene::negotiated()] {
        let joined = scene.now.instant;
        scene.pass(Duration::from_secs(3));
        assert_eq!(scene.put(gone(EndReason::Left)), ["revoke", "ended Vanished", "send waiting", "join 2"]);
        let Phase::Waiting(wait) = &scene.visitor.phase else { panic!("waiting") };
        assert_eq!(wait.joined, joined);
        assert_eq!(scene.put(scene.matched_mail(TicketId(2), true)), ["matched true"]);
    }
}

#[test]
fn whoever_loses_a_partner_after_the_call_began_is_told() {
    for (why, told) in
        [(EndReason::Left, "ended Left"), (EndReason::Lost, "ended Lost"), (EndReason::Vanished, "ended Lost")]
    {
        assert_eq!(Scene::talking().put(gone(why)), ["keep apart", "revoke", told]);
    }
    let mut scene = Scene::negotiated();
    scene.pass(BEGUN_AFTER);
    assert_eq!(scene.put(gone(EndReason::Left)), ["keep apart", "revoke", "ended Left"]);
}

#[test]
fn connected_means_nothing_before_both_have_described_themselves() {
    let mut scene = Scene::matched(true);
    scene.put(connected());
    assert_eq!(scene.put(gone(EndReason::Left))[1], "ended Vanished");
}

#[test]
fn whoever_does_not_describe_in_time_is_out() {
    let mut scene = Scene::matched(true);
    let deadline = scene.visitor.deadline().expect("a deadline");
    assert_eq!(deadline, scene.now.instant + DESCRIBE_WITHIN);
    assert!(scene.put(Input::Deadline).is_empty(), "too early");
    scene.pass(DESCRIBE_WITHIN);
    assert_eq!(scene.put(Input::Deadline), ["dropped", "revoke", "tell gone Lost", "ended Lost"]);
    assert_eq!(scene.visitor.deadline(), None);
    // The answerer's time runs from the offer on.
    assert_eq!(Scene::matched(false).visitor.deadline(), None);
}

#[test]
fn a_lost_socket_ends_a_wait_and_suspends_a_call() {
    let mut scene = Scene::waiting();
    assert_eq!(scene.put(Input::Away { untold: false }), ["leave 1"]);
    assert!(!scene.visitor.worth_waiting_for(scene.now));
    let mut scene = Scene::negotiated();
    assert_eq!(scene.put(Input::Away { untold: false }), ["dropped", "revoke", "tell gone Lost"]);

    let mut scene = Scene::talking();
    assert!(scene.put(Input::Away { untold: false }).is_empty());
    assert!(scene.visitor.worth_waiting_for(scene.now));
    assert_eq!(scene.put(Input::Back), ["welcome true"]);
    assert_eq!(scene.visitor.deadline(), None);
    scene.put(Input::Away { untold: false });
    scene.pass(AWAY_FOR);
    assert_eq!(scene.put(Input::Deadline), ["keep apart", "revoke", "tell gone Lost", "ended Lost"]);
    assert!(!scene.visitor.worth_waiting_for(scene.now));

    // The frame that said so was the one that found the socket dead.
    let mut scene = Scene::talking();
    scene.put(gone(EndReason::Left));
    assert!(scene.put(Input::Away { untold: true }).is_empty());
    assert!(scene.visitor.worth_waiting_for(scene.now));
    scene.pass(TOLD_WITHIN);
    assert!(!scene.visitor.worth_waiting_for(scene.now));
    // Whoever waits again is in nobody's way.
    let mut scene = Scene::negotiated();
    scene.put(gone(EndReason::Vanished));
    assert_eq!(scene.put(Input::Away { untold: true }), ["leave 2"]);
    assert!(!scene.visitor.worth_waiting_for(scene.now));

    // The partner leaves meanwhile: that is told when the page comes back.
    let mut scene = Scene::talking();
    scene.put(Input::Away { untold: false });
    assert_eq!(scene.put(gone(EndReason::Left)), ["keep apart", "revoke", "ended Left"]);
    assert!(scene.visitor.worth_waiting_for(scene.now));
    assert_eq!(scene.put(Input::Back), ["welcome false"]);
    assert_eq!(scene.put(join()), ["send waiting", "join 2"]);
}

/// When the present wait began.
fn joined(scene: &Scene) -> Instant {
    let Phase::Waiting(wait) = &scene.visitor.phase else { panic!("waiting") };
    wait.joined
}

/// The same visitor with another socket, as a new task gets them.
fn another_socket(mut scene: Scene) -> Scene {
    let mut back = Scene { now: scene.now, ..Scene::new() };
    scene.put(Input::End);
    back.visitor.remember(scene.visitor.take_memory());
    back.put(hello());
    back
}

#[test]
fn how_a_wait_ended_is_counted_once_and_only_where_it_ended() {
    // Left, after a while; and not where the line was lost, or the match was.
    let mut scene = Scene::waiting();
    scene.pass(Duration::from_secs(70));
    assert_eq!(scene.put(leave()), ["waited 70 false", "leave 1"]);
    assert!(scene.put(leave()).is_empty());
    let mut scene = Scene::waiting();
    assert_eq!(scene.put(Input::Away { untold: false }), ["leave 1"]);
    // Found, when the two hear each other: not by a match, and not twice.
    let mut scene = Scene::waiting();
    scene.pass(Duration::from_secs(5));
    scene.put(scene.matched_mail(TicketId(1), true));
    assert!(scene.put(connected()).is_empty());
    scene.put(describe(Setup::Actpass));
    scene.put(Input::Mail(Mail::Describe { call: CALL, description: description(Setup::Active) }));
    scene.pass(Duration::from_secs(2));
    assert_eq!(scene.put(connected()), ["waited 5 true"]);
    assert!(scene.put(connected()).is_empty());
}

#[test]
fn whoever_loses_the_line_while_waiting_comes_back_to_their_place() {
    let away = || Input::Away { untold: false };
    let mut scene = Scene::waiting();
    let first = joined(&scene);
    scene.pass(Duration::from_secs(30));
    assert_eq!(scene.put(away()), ["leave 1"], "nobody is paired with somebody who is not there");
    scene.pass(PLACE_FOR - Duration::from_secs(1));
    let mut back = another_socket(scene);
    assert_eq!(back.put(join()), ["send waiting", "join 1"]);
    assert_eq!(joined(&back), first);
    // Again, with other wishes, and however often.
    back.put(away());
    let mut back = another_socket(back);
    back.put(Input::Frame(ClientMessage::Join {
        languages: Languages::new(vec!["de".to_owned()]).expect("a language"),
        role: Role::Talk,
        avoid_recent: false,
        struggling: Struggling::default(),
        proof: None,
    }));
    assert_eq!(joined(&back), first);
    // The place goes with the wait, and whoever means to leave has none.
    back.put(leave());
    back.put(join());
    assert_eq!(joined(&back), back.now.instant);
    back.put(away());
    let mut back = another_socket(back);
    back.pass(Duration::from_secs(1));
    back.put(leave());
    back.put(join());
    assert_eq!(joined(&back), back.now.instant);
}

#[test]
fn a_place_is_kept_for_a_while_and_for_one() {
    let mut scene = Scene::waiting();
    scene.put(Input::Away { untold: false });
    scene.pass(PLACE_FOR);
    let mut late = another_socket(scene);
    late.put(join());
    assert_eq!(joined(&late), late.now.instant);

    // Losing the line once more before the page has joined makes it last no longer.
    let mut scene = Scene::waiting();
    scene.put(Input::Away { untold: false });
    scene.pass(PLACE_FOR - Duration::from_secs(1));
    let mut back = another_socket(scene);
    back.put(Input::Away { untold: false });
    back.pass(Duration::from_secs(1));
    let mut late = another_socket(back);
    late.put(join());
    assert_eq!(joined(&late), late.now.instant);

    // What was remembered is with the one who has come back, and nowhere else.
    let mut scene = Scene::waiting();
    scene.put(Input::Away { untold: false });
    assert!(scene.visitor.take_memory().has_place());
    assert!(!scene.visitor.take_memory().has_place());
    // Whoever is shown out has not lost the line.
    let mut scene = Scene::waiting();
    scene.put(Input::End);
    assert!(!scene.visitor.take_memory().has_place());
    // Nor has whoever wants something else now.
    let mut scene = Scene::waiting();
    scene.put(Input::Away { untold: false });
    let mut back = another_socket(scene);
    back.put(Input::Frame(ClientMessage::HearYourself {}));
    back.pass(Duration::from_secs(1));
    back.put(join());
    assert_eq!(joined(&back), back.now.instant);
}

#[test]
fn a_socket_that_was_lost_without_a_sign_keeps_the_place_as_well() {
    let mut scene = Scene::waiting();
    let first = joined(&scene);
    scene.pass(Duration::from_secs(20));
    assert_eq!(scene.put(Input::Back), ["leave 1", "welcome false"]);
    // The match was on the way to the socket that is gone.
    assert_eq!(scene.put(scene.matched_mail(TicketId(1), true)), ["tell gone Vanished"]);
    assert_eq!(scene.put(join()), ["send waiting", "join 2"]);
    assert_eq!(joined(&scene), first);

    // Or it had gone to it: the page knows nothing of it, says so, and waits on.
    let mut scene = Scene::matched(true);
    scene.pass(Duration::from_secs(15));
    assert_eq!(scene.put(Input::Back), ["welcome true"]);
    assert_eq!(scene.put(leave()), ["dropped", "revoke", "tell gone Lost"]);
    scene.put(join());
    assert_eq!(joined(&scene), scene.now.instant - Duration::from_secs(15));

    // A page that does know of it leaves for good.
    let mut scene = Scene::matched(true);
    scene.pass(Duration::from_secs(15));
    scene.put(Input::Back);
    scene.put(describe(Setup::Actpass));
    scene.put(leave());
    scene.put(join());
    assert_eq!(joined(&scene), scene.now.instant);

    // The line of a match that was no call yet, and of one that was.
    for (mut scene, kept) in [(Scene::matched(false), true), (Scene::negotiated(), true), (Scene::talking(), false)] {
        scene.pass(Duration::from_secs(1));
        scene.put(Input::Away { untold: false });
        assert_eq!(scene.visitor.take_memory().has_place(), kept);
    }
}

#[test]
fn whoever_leaves_before_anything_was_said_has_dropped_a_match_and_nobody_else_has() {
    let mut scene = Scene::talking();
    assert_eq!(scene.put(leave()), ["keep apart", "dropped", "revoke", "tell gone Left"]);
    for (mut scene, late) in [
        (Scene::matched(true), "dropped"),
        // It is the other who has not described itself, or whose transport may be what does not come up.
        (Scene::matched(false), "not connected"),
        (Scene::negotiated(), "not connected"),
    ] {
        scene.pass(QUICK);
        assert_eq!(scene.put(leave()), [late, "revoke", "tell gone Left"]);
    }
    for mut scene in [Scene::matched(true), Scene::matched(false), Scene::negotiated()] {
        assert_eq!(scene.put(leave()), ["dropped", "revoke", "tell gone Left"]);
    }
    // Being left is not leaving, and neither is giving up a wait.
    for why in [EndReason::Left, EndReason::Lost, EndReason::Vanished] {
        for mut scene in [Scene::matched(true), Scene::negotiated(), Scene::talking()] {
            assert!(!scene.put(gone(why)).contains(&"dropped".to_owned()));
        }
    }
    assert_eq!(Scene::waiting().put(leave()), ["waited 0 false", "leave 1"]);
}

#[test]
fn a_report_ends_the_call_and_counts_once() {
    let report = |call| Input::Frame(ClientMessage::Report { call, category: Category::Asking });
    let mut scene = Scene::talking();
    scene.pass(QUICK);
    assert!(scene.put(report(OTHER_CALL)).is_empty());
    assert_eq!(scene.put(report(CALL)), ["keep apart", "revoke", "tell gone Left", "report Asking"]);
    assert!(scene.put(report(CALL)).is_empty(), "once");
    // Whoever ended it, and for ten minutes.
    for ended in [leave(), gone(EndReason::Left), gone(EndReason::Lost)] {
        for (after, counts) in [(REPORT_WITHIN - Duration::from_secs(1), true), (REPORT_WITHIN, false)] {
            let mut scene = Scene::talking();
            scene.put(match &ended {
                Input::Frame(_) => leave(),
                Input::Mail(mail) => Input::Mail(mail.clone()),
                _ => unreachable!("one of these"),
            });
            scene.pass(after);
            // Waiting for somebody else meanwhile.
            scene.put(join());
            let reported = scene.put(report(CALL));
            assert_eq!(reported, if counts { vec!["report Asking"] } else { vec![] });
        }
    }
    // Nobody has met before there was a conversation.
    let mut scene = Scene::negotiated();
    assert_eq!(scene.put(report(CALL)), ["dropped", "revoke", "tell gone Left"]);
    // Another socket of the same visitor.
    let mut scene = Scene::talking();
    scene.put(leave());
    let memory = scene.visitor.take_memory();
    let mut back = Scene::new();
    back.put(hello());
    back.visitor.remember(memory);
    assert_eq!(back.put(report(CALL)), ["report Asking"]);
}

#[test]
fn the_end_of_the_task_undoes_everything_once() {
    assert!(Scene::new().put(Input::End).is_empty());
    assert_eq!(Scene::waiting().put(Input::End), ["leave 1"]);
    assert_eq!(Scene::matched(true).put(Input::End), ["dropped", "revoke", "tell gone Lost"]);
    let mut scene = Scene::talking();
    scene.pass(QUICK);
    assert_eq!(scene.put(Input::End), ["keep apart", "revoke", "tell gone Lost"]);
    assert!(scene.put(Input::End).is_empty());
    assert_eq!(scene.partner.close().len(), 2, "the description and the end");
}

#[test]
fn whoever_hears_themself_is_in_a_call_and_of_no_concern_to_anybody_else() {
    let ask = || Input::Frame(ClientMessage::HearYourself {});
    let hearing = || {
        let mut scene = Scene::new();
        scene.put(hello());
        assert_eq!(scene.put(ask()), ["hear yourself"]);
        let half = scene.half(true, None);
        assert_eq!(scene.put(Input::Echo(half)), ["matched true"]);
        scene
    };
    // Where there is none to be had, one is idle still.
    let mut scene = Scene::new();
    scene.put(hello());
    assert_eq!(scene.put(ask()), ["hear yourself"]);
    assert_eq!(scene.put(join()), ["send waiting", "join 1"]);
    assert_eq!(scene.put(ask()), ["problem AlreadyWaiting"]);

    let mut scene = hearing();
    assert_eq!(scene.put(ask()), ["problem AlreadyInCall"]);
    assert_eq!(scene.put(join()), ["problem AlreadyInCall"]);
    // Left at any time, it drops nobody and keeps nobody apart, and there is nobody to report.
    assert_eq!(scene.put(leave()), ["revoke", "tell gone Left"]);
    let mut scene = hearing();
    scene.put(describe(Setup::Actpass));
    scene.put(Input::Mail(Mail::Describe { call: CALL, description: description(Setup::Active) }));
    scene.put(connected());
    let report = Input::Frame(ClientMessage::Report { call: CALL, category: Category::Other });
    assert_eq!(scene.put(report), ["revoke", "tell gone Left"]);
    // Gone before or after it began, nobody is put into a queue that they were not in.
    for begun in [false, true] {
        let mut scene = hearing();
        if begun {
            scene.put(describe(Setup::Actpass));
            scene.put(Input::Mail(Mail::Describe { call: CALL, description: description(Setup::Active) }));
            scene.put(connected());
        }
        assert_eq!(scene.put(gone(EndReason::Vanished)), ["revoke", "ended Lost"]);
        assert_eq!(scene.put(join()), ["send waiting", "join 1"]);
    }
}

#[test]
fn a_partner_whose_machine_is_gone_ends_no_call_that_has_begun() {
    let unreachable = || Input::Mail(Mail::Unreachable { call: CALL });
    for offerer in [false, true] {
        let mut scene = Scene::matched(offerer);
        let told = scene.put(unreachable());
        assert_eq!(told, ["tell gone Vanished", "revoke", "ended Vanished", "send waiting", "join 2"]);
        assert!(scene.put(unreachable()).is_empty());
    }
    let mut scene = Scene::talking();
    assert!(scene.put(unreachable()).is_empty());
    assert_eq!(scene.put(leave()), ["keep apart", "dropped", "revoke", "tell gone Left"]);
}

/// Many visitors over a real matchmaker; mails are read in whatever order the history says.
struct House {
    maker: Memory,
    visitors: Vec<(Visitor, VisitorId, Mailbox, Inbox)>,
    now: Now,
}

#[derive(Debug, Clone)]
enum Step {
    Frame(usize, u8),
    Read(usize),
    Away(usize),
    Back(usize),
    Pass(u64),
}

impl House {
    fn put(&mut self, who: usize, input: Input) {
        let (visitor, id, mailbox, _) = &mut self.visitors[who];
        let effects = visitor.handle(input, self.now, || self.maker.new_ticket());
        for effect in effects {
            match effect {
                Effect::Join(wait) => {
                    let Wait { ticket, languages, role, avoid_recent, struggling, joined } = wait;
                    let (id, visitor, whence) = (ticket, *id, None);
                    let ticket = Ticket { id, visitor, whence, languages, role, avoid_recent, struggling, joined };
                    self.maker.join(ticket, mailbox.clone(), self.now.instant);
                }
                Effect::LeaveQueue(ticket) => self.maker.leave(ticket),
                Effect::Tell(mailbox, mail) => {
                    mailbox.send(mail);
                }
                Effect::KeepApart(partner) => self.maker.keep_apart(*id, partner, self.now.instant),
                Effect::Send(_)
                | Effect::Welcome(_)
                | Effect::Matched { .. }
                | Effect::HearYourself
                | Effect::Waiting
                | Effect::Waited(..)
                | Effect::Revoke(_)
                | Effect::Dropped(_)
                | Effect::NotConnected(_)
                | Effect::Report(..) => {}
            }
        }
    }

    fn read(&mut self, who: usize) -> bool {
        match self.visitors[who].3.try_next() {
            Some(mail) => {
                self.put(who, Input::Mail(mail));
                true
            }
            None => false,
        }
    }

    fn call_of(&self, who: usize) -> Option<(CallId, bool)> {
        match &self.visitors[who].0.phase {
            Phase::InCall(call) => Some((call.matched.call, call.matched.offerer)),
            _ => None,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Frame(who, _) if self.visitors[who].0.away.is_some() => {}
            Step::Frame(who, kind) => {
                let call = self.call_of(who);
                let (call, offerer) = call.unwrap_or((OTHER_CALL, false));
                let frame = match kind {
                    0 => return self.put(who, join()),
                    1 => return self.put(who, leave()),
                    2 => {
                        let setup = if offerer { Setup::Actpass } else { Setup::Active };
                        ClientMessage::Describe { call, description: description(setup) }
                    }
                    3 => ClientMessage::Connected { call },
                    _ => ClientMessage::Candidate { call, port: Port::new(50_000_u16).expect("a port") },
                };
                self.put(who, Input::Frame(frame));
            }
            Step::Read(who) => {
                self.read(who);
            }
            Step::Away(who) => self.put(who, Input::Away { untold: false }),
            // Also for a socket that nobody knows to be lost.
            Step::Back(who) => self.put(who, Input::Back),
            Step::Pass(seconds) => {
                self.now = self.now.after(Duration::from_secs(seconds));
                self.maker.advance(self.now.instant);
                for who in 0..self.visitors.len() {
                    self.put(who, Input::Deadline);
                }
            }
        }
    }

    /// When all mail is read: who is in a call is in it with exactly one other, who waits is in the queue.
    fn check(&mut self) -> Result<(), TestCaseError> {
        while (0..self.visitors.len()).any(|who| self.read(who)) {}
        let mut calls: HashMap<CallId, Vec<Side>> = HashMap::new();
        let mut waiting = 0;
        for (visitor, ..) in &self.visitors {
            match &visitor.phase {
                Phase::InCall(call) => calls.entry(call.matched.call).or_default().push(call.matched.side),
                Phase::Waiting(_) => waiting += 1,
                Phase::New | Phase::Idle => {}
            }
        }
        for sides in calls.values_mut() {
            sides.sort_by_key(|side| *side == Side::B);
            prop_assert_eq!(&sides[..], [Side::A, Side::B]);
        }
        prop_assert_eq!(waiting, self.maker.waiting());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_lost_in_any_interleaving(steps in prop::collection::vec(
        prop_oneof![
            6 => (0..6_usize, 0..5_u8).prop_map(|(who, kind)| Step::Frame(who, kind)),
            6 => (0..6_usize).prop_map(Step::Read),
            1 => (0..6_usize).prop_map(Step::Away),
            2 => (0..6_usize).prop_map(Step::Back),
            1 => prop_oneof![Just(0_u64), Just(1), Just(16), Just(26), Just(700)].prop_map(Step::Pass),
        ],
        1..150,
    )) {
        let maker = Memory::default();
        let visitors = (0..6)
            .map(|_| {
                let (mailbox, inbox) = mailbox();
                (Visitor::default(), maker.new_visitor(), mailbox, inbox)
            })
            .collect();
        let mut house = House { maker, visitors, now: now() };
        for who in 0..6 {
            house.put(who, hello());
        }
        for (index, step) in steps.into_iter().enumerate() {
            house.step(step);
            if index % 40 == 39 {
                house.check()?;
            }
        }
        house.check()?;
        // Everybody's task ends: nothing is left.
        for who in 0..6 {
            house.put(who, Input::End);
        }
        while (0..6).any(|who| house.read(who)) {
            for who in 0..6 {
                house.put(who, Input::End);
            }
        }
        prop_assert_eq!(house.maker.waiting(), 0);
    }
}
