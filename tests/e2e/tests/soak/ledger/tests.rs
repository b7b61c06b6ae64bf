//! The ledger finds what it is there to find.

use super::*;

const SECOND: Moment = 1_000_000;
const IDLE: u64 = 3;

/// A request that began at this second and took a tenth of one.
fn sent(number: u64, kind: Kind, second: Moment) -> Sent {
    let refused = kind.expected().verdict == Some("deny");
    Sent {
        number,
        place: Place::of(0, number),
        kind,
        print: (kind.expected().arrives && kind != Kind::Conversation).then(|| Print::of(b"body")),
        sandbox: "soak-0".to_owned(),
        begun: second * SECOND,
        ended: second * SECOND + SECOND / 10,
        seen: kind.expected().status.map_or(Seen::GaveUp, Seen::Answer),
        id: refused.then(|| format!("id-{number}")),
        reason: refused.then(|| "a reason".to_owned()),
    }
}

fn arrival(number: u64) -> Arrival {
    Arrival { number, print: Print::of(b"body"), whole: true }
}

fn record(sent: &Sent, life: usize) -> Record {
    let verdict = sent.kind.expected().verdict.expect("a kind that is on record").to_owned();
    let (id, reason) = (format!("id-{}", sent.number), "a reason".to_owned());
    Record { life, time: sent.begun + SECOND / 20, id, place: Some(sent.place), sandbox: sent.sandbox.clone(), verdict, reason }
}

fn counted(records: &[Record], life: usize) -> Counts {
    let mut counts = Counts::new();
    for record in records.iter().filter(|record| record.life == life) {
        *counts.entry((record.verdict.clone(), record.reason.clone())).or_default() += 1;
    }
    counts
}

fn life(number: usize, ending: Ending, records: &[Record]) -> Life {
    Life { number, ending, counted: counted(records, number), lost: 0, torn: 0 }
}

/// One request of each kind, each by itself, all as it should be; two scanners.
fn fine() -> Chapter {
    let sent: Vec<Sent> = Kind::ALL.iter().zip(1..).map(|(kind, number)| sent(number, *kind, number * 10)).collect();
    let arrivals = sent.iter().filter(|one| one.kind.expected().arrives).map(|one| arrival(one.number)).collect();
    let on_record = sent.iter().filter(|one| one.kind.expected().verdict.is_some());
    let records: Vec<Record> = on_record.map(|one| record(one, usize::from(one.number % 2 == 0))).collect();
    let lives = vec![life(0, Ending::Lives, &records), life(1, Ending::Lives, &records)];
    Chapter { sent, arrivals, records, lives, kills: Vec::new(), workers: 8 }
}

/// The chapter after a change, which must be found, in these words.
#[track_caller]
fn found(change: impl FnOnce(&mut Chapter), words: &str) {
    let mut chapter = fine();
    change(&mut chapter);
    let wrong = chapter.judge().wrong;
    assert!(wrong.iter().any(|one| one.contains(words)), "{words:?} is not among {wrong:?}");
}

/// The chapter after a change in which nothing is wrong.
#[track_caller]
fn forgiven(change: impl FnOnce(&mut Chapter)) -> Account {
    let mut chapter = fine();
    change(&mut chapter);
    let account = chapter.judge();
    assert_eq!(account.wrong, Vec::<String>::new());
    account
}

fn place_of(chapter: &Chapter, kind: Kind) -> usize {
    chapter.sent.iter().position(|one| one.kind == kind).expect("one of each kind")
}

fn number_of(chapter: &Chapter, kind: Kind) -> u64 {
    chapter.sent[place_of(chapter, kind)].number
}

fn without_record(chapter: &mut Chapter, kind: Kind) {
    let (place, begun) = (chapter.sent[place_of(chapter, kind)].place, chapter.sent[place_of(chapter, kind)].begun);
    chapter.records.retain(|record| record.place != Some(place) || record.time < begun || record.time > begun + SECOND);
}

fn recount(chapter: &mut Chapter) {
    for life in &mut chapter.lives {
        life.counted = counted(&chapter.records, life.number);
    }
}

/// A scanner is killed while the request of this kind is under way.
fn kill(chapter: &mut Chapter, kind: Kind) {
    let begun = chapter.sent[place_of(chapter, kind)].begun;
    chapter.kills.push(Kill { from: begun + SECOND / 20, to: begun + SECOND / 10 });
}

#[test]
fn what_agrees_is_fine_and_is_counted() {
    let account = forgiven(|_| {});
    assert_eq!((account.as_expected, account.failed, account.overloaded), (12, 0, 0));
    assert_eq!((account.passed_clients, account.refused_clients, account.arrived), (7, 3, 7));
    assert_eq!((account.records, account.passed_records, account.passed_counted, account.inside), (11, 8, 8, 1));
    let mut twice = account.clone();
    twice.add(&account);
    assert_eq!((twice.arrived, twice.records, twice.kinds[&Kind::Get]), (14, 22, 2));
}

#[test]
fn a_missing_record_is_found() {
    found(
        |chapter| {
            without_record(chapter, Kind::Json);
            recount(chapter);
        },
        "it is not on record",
    );
    found(|chapter| without_record(chapter, Kind::Secret), "its refusal id-3 is not on record");
    found(|chapter| without_record(chapter, Kind::Json), "scanner 1 counted");
}

#[test]
fn a_record_too_many_is_found() {
    let again = |chapter: &mut Chapter, id: &str| {
        let mut double = record(&chapter.sent[place_of(chapter, Kind::Json)], 0);
        id.clone_into(&mut double.id);
        chapter.records.push(double);
        recount(chapter);
    };
    found(|chapter| again(chapter, "another"), "it is on record 2 times");
    found(|chapter| again(chapter, "id-2"), "two records have the id id-2");
    found(
        |chapter| {
            let mut stray = record(&chapter.sent[0], 0);
            stray.place = None;
            chapter.records.push(stray);
        },
        "is of no request",
    );
    found(
        |chapter| {
            let mut early = record(&chapter.sent[0], 0);
            (early.time, early.id) = (SECOND, "early".to_owned());
            chapter.records.push(early);
        },
        "is of no request",
    );
}

#[test]
fn a_record_of_a_request_that_was_given_up_is_found() {
    found(
        |chapter| {
            let one = chapter.sent[place_of(chapter, Kind::Aborted)].clone();
            let mut record = record(&chapter.sent[0], 0);
            (record.time, record.place, record.id) = (one.begun + 1, Some(one.place), "given up".to_owned());
            chapter.records.push(record);
            recount(chapter);
        },
        "it was given up, and is on record",
    );
}

#[test]
fn a_counter_that_is_off_by_one_is_found() {
    for number in [0, 1] {
        for more in [true, false] {
            let change = |chapter: &mut Chapter| {
                let counts = &mut chapter.lives[number].counted;
                let one = counts.values_mut().next().expect("something was counted");
                *one = if more { *one + 1 } else { *one - 1 };
            };
            found(change, &format!("scanner {number} counted"));
            found(change, "the scanners count");
        }
    }
}

#[test]
fn lost_and_torn_records_are_found() {
    found(|chapter| chapter.lives[0].lost = 1, "scanner 0 lost 1 records");
    found(|chapter| chapter.lives[0].torn = 1, "scanner 0 wrote 1 lines that are no records");
    found(|chapter| drop(chapter.lives.pop()), "a scanner that nobody knows");
}

#[test]
fn what_arrives_twice_changed_or_not_at_all_is_found() {
    found(|chapter| chapter.arrivals.push(arrival(2)), "it arrived 2 times");
    found(|chapter| chapter.arrivals.push(arrival(99)), "request 99 arrived and was never sent");
    found(|chapter| chapter.arrivals.truncate(chapter.arrivals.len() - 1), "it was answered and did not arrive");
    found(|chapter| chapter.arrivals[0].whole = false, "it was answered and did not arrive");
    found(|chapter| chapter.arrivals[0].print = Print::of(b"BODY"), "other bytes arrived");
}

#[test]
fn what_must_not_arrive_is_found_whatever_is_killed() {
    for kind in [Kind::Secret, Kind::Address, Kind::Inside, Kind::Stranger, Kind::Aborted] {
        for killed in [false, true] {
            found(
                |chapter| {
                    let number = number_of(chapter, kind);
                    chapter.arrivals.push(arrival(number));
                    if killed {
                        kill(chapter, kind);
                        let at = place_of(chapter, kind);
                        chapter.sent[at].seen = Seen::Cut("of the kill".to_owned());
                    }
                },
                "4 bytes of it arrived",
            );
        }
    }
    // The beginning of an upload that is given up may.
    let account = forgiven(|chapter| {
        let number = number_of(chapter, Kind::Aborted);
        chapter.arrivals.push(Arrival { whole: false, ..arrival(number) });
    });
    assert_eq!(account.arrived_in_part, 1);
}

#[test]
fn a_failure_without_a_kill_is_found() {
    let cut = |chapter: &mut Chapter| chapter.sent[1].seen = Seen::Cut("no reason".to_owned());
    found(cut, "request 2 (small JSON, Cut(\"no reason\"))");
    found(|chapter| chapter.sent[1].seen = Seen::Answer(503), "it should have been Some(200)");
    found(
        |chapter| {
            cut(chapter);
            // In the middle of another one.
            kill(chapter, Kind::Gzip);
        },
        "request 2 (small JSON",
    );
    found(
        |chapter| {
            cut(chapter);
            // Right after it had ended.
            let from = chapter.sent[1].ended + 1;
            chapter.kills.push(Kill { from, to: from });
        },
        "request 2 (small JSON",
    );
}

#[test]
fn what_is_under_way_when_a_scanner_is_killed_may_fail_in_every_way_that_opens_nothing() {
    let killed = |arrives: Option<bool>, records: usize| {
        forgiven(|chapter| {
            kill(chapter, Kind::Json);
            chapter.sent[1].seen = Seen::Cut("of the kill".to_owned());
            chapter.arrivals.retain(|arrival| arrival.number != 2 || arrives.is_some());
            chapter.arrivals.iter_mut().filter(|arrival| arrival.number == 2).for_each(|arrival| arrival.whole = arrives == Some(true));
            without_record(chapter, Kind::Json);
            for n in 0..records {
                let mut one = record(&chapter.sent[1], n);
                one.id = format!("of {n}");
                chapter.records.push(one);
            }
            recount(chapter);
            chapter.lives[0].ending = Ending::Killed;
        })
    };
    for arrives in [None, Some(false), Some(true)] {
        for records in 0..=2 {
            let account = killed(arrives, records);
            assert_eq!(account.failed, 1);
            assert_eq!(account.recorded_twice, u64::from(records == 2));
            assert_eq!(account.arrived_unrecorded, u64::from(records == 0 && arrives == Some(true)));
            assert_eq!(account.passed_and_lost, u64::from(records > 0 && arrives != Some(true)));
        }
    }
}

#[test]
fn the_record_of_an_answer_right_before_a_kill_may_be_lost_and_no_earlier_one() {
    let killed_after = |chapter: &mut Chapter, later: Moment| {
        let from = chapter.sent[1].ended + later;
        chapter.kills.push(Kill { from, to: from });
        without_record(chapter, Kind::Json);
        recount(chapter);
        chapter.lives[1].ending = Ending::Killed;
    };
    assert_eq!(forgiven(|chapter| killed_after(chapter, UNWRITTEN)).arrived_unrecorded, 1);
    found(|chapter| killed_after(chapter, UNWRITTEN + 1), "it is not on record");
}

#[test]
fn a_scanner_that_ended_may_differ_by_what_was_under_way_and_no_more() {
    let more = |chapter: &mut Chapter, ending: Ending, more: u64| {
        chapter.lives[0].ending = ending;
        *chapter.lives[0].counted.values_mut().next().expect("something was counted") += more;
    };
    forgiven(|chapter| more(chapter, Ending::Killed, 8));
    found(|chapter| more(chapter, Ending::Killed, 9), "with 8 under way at most");
    forgiven(|chapter| more(chapter, Ending::Told { under_way: IDLE }, IDLE));
    found(|chapter| more(chapter, Ending::Told { under_way: IDLE }, IDLE + 1), "with 3 under way at most");
    found(|chapter| more(chapter, Ending::Told { under_way: 0 }, 1), "scanner 0 counted");
    forgiven(|chapter| {
        chapter.lives[0].ending = Ending::Killed;
        chapter.lives[0].torn = 1;
    });
}

#[test]
fn who_sends_and_what_was_decided_are_held_against_the_record() {
    found(|chapter| chapter.records[1].sandbox = "soak-1".to_owned(), "it is from soak-1 instead of soak-0");
    found(
        |chapter| {
            chapter.records[1].verdict = "redact".to_owned();
            recount(chapter);
        },
        "on record it is redact a reason instead of allow",
    );
    found(|chapter| chapter.sent[2].id = None, "its refusal told no id");
}

#[test]
fn a_refusal_for_want_of_time_is_a_decision_like_any_other() {
    let overloaded = |chapter: &mut Chapter| {
        let one = &mut chapter.sent[1];
        (one.seen, one.id, one.reason) = (Seen::Answer(503), Some("id-2".to_owned()), Some("overloaded".to_owned()));
        chapter.arrivals.retain(|arrival| arrival.number != 2);
        let record = chapter.records.iter_mut().find(|record| record.id == "id-2").expect("on record");
        (record.verdict, record.reason) = ("deny".to_owned(), "overloaded".to_owned());
        recount(chapter);
    };
    assert_eq!(forgiven(overloaded).overloaded, 1);
    found(
        |chapter| {
            overloaded(chapter);
            chapter.arrivals.push(arrival(2));
        },
        "it was refused, and arrived",
    );
}

#[test]
fn a_late_record_goes_to_the_request_before_at_its_place_and_a_missing_one_does_not() {
    // Two requests at one place; both records come after the second began.
    let late_by = |chapter: &mut Chapter, apart: Moment, late: Moment| {
        let mut second = sent(2 + 16, Kind::Json, 0);
        second.begun = chapter.sent[1].begun + apart;
        second.ended = second.begun + SECOND / 10;
        chapter.records.push(record(&second, 1));
        chapter.arrivals.push(arrival(second.number));
        let time = chapter.sent[1].ended + late;
        chapter.records.iter_mut().filter(|record| record.id == "id-2").for_each(|record| record.time = time);
        chapter.sent.push(second);
        recount(chapter);
    };
    forgiven(|chapter| late_by(chapter, 2 * SECOND, 2 * SECOND));
    forgiven(|chapter| late_by(chapter, 2 * SECOND, LATE));
    found(|chapter| late_by(chapter, 6 * SECOND, 6 * SECOND), "request 2 (small JSON, Answer(200)): it is not on record");
    found(
        |chapter| {
            late_by(chapter, 2 * SECOND, 2 * SECOND);
            chapter.records.retain(|record| record.id != "id-2");
            recount(chapter);
        },
        "request 2 (small JSON, Answer(200)): it is not on record",
    );
}
