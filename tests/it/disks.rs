//! A disk that is full for a while, or fails: under the store, and under the embedded log. What was acknowledged is in
//! the ledger once, and when there is room again, or the disk answers, all goes on by itself.

use tests::broker::Broker;
use tests::disk::Disk;
use tests::engine::Engine;
use tests::failures::Failures;
use tests::{folder, wait};
use traffic::{Config, Truth};

use crate::embedded::Embedded;
use crate::world::{PATIENCE, World};

fn some_traffic(world: &World, seed: u64) -> Truth {
    world.produce(Config { seed, count: 2_000, rejects_per_mille: 20, ..Config::default() })
}

#[test]
fn a_store_on_a_full_disk_is_waited_for_and_takes_everything_once_when_there_is_room() {
    let Some(disk) = Disk::small(256).unwrap() else {
        println!("may not mount: a full disk cannot be had here");
        return;
    };
    let engine = Engine::start_on(&disk.path().join("data")).unwrap();
    let world = World::start_on(2, Broker::start().unwrap(), engine);
    let mut worker = world.worker();
    world.wait_for_prices();
    let mut truth = some_traffic(&world, 1);
    for seed in [2, 3] {
        disk.fill().unwrap();
        truth.absorb(&some_traffic(&world, seed));
        let times = usize::try_from(seed - 1).unwrap();
        worker.wait_for_nth_line("is being recovered", times, PATIENCE).unwrap();
        disk.free().unwrap();
        world.wait_until_received(truth.received);
    }
    world.assert_holds(&truth);
}

/// A part is written under the name `tmp_insert_…` and renamed when it is whole; here the rename alone fails, of whichever
/// table's part it is.
#[test]
fn a_disk_that_fails_when_a_part_is_renamed_loses_and_doubles_nothing() {
    let failures = Failures::none().unwrap();
    let world = World::start_on(2, Broker::start().unwrap(), Engine::start_under(&failures).unwrap());
    let mut worker = world.worker();
    world.wait_for_prices();
    let mut truth = some_traffic(&world, 1);
    world.wait_until_received(truth.received);
    failures.begin("tmp_insert").unwrap();
    truth.absorb(&some_traffic(&world, 2));
    worker.wait_for_line("Input/output error", PATIENCE).unwrap();
    failures.end().unwrap();
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

#[test]
fn an_embedded_log_on_a_full_disk_refuses_events_and_takes_them_when_there_is_room() {
    let Some(disk) = Disk::small(64).unwrap() else {
        println!("may not mount: a full disk cannot be had here");
        return;
    };
    let data = folder::fresh("embedded").unwrap();
    std::fs::create_dir(disk.path().join("log")).unwrap();
    std::os::unix::fs::symlink(disk.path().join("log"), data.path().join("log")).unwrap();
    let embedded = Embedded::start_in(data, Vec::new());
    embedded.publish_prices();
    let event = |number: u32| {
        format!(
            r#"{{"event_id":"e{number}","request_id":"r{number}","occurred_at":"2026-11-02T10:00:00Z","key":"k",
                "endpoint_family":"openai","provider":"openai","model":"gpt-5.5","status":200,
                "context":{{"text":"{}"}},"usage":{{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}}}"#,
            "x".repeat(100_000)
        )
        .replace('\n', " ")
    };
    assert!(embedded.try_send(&event(0)));
    disk.fill().unwrap();
    // Room that the log has taken before it was full may hold some more.
    let mut accepted = 1;
    let refusal = (1..2_000).find_map(|number| {
        let (status, body) = embedded.post("/v1/events", &[], &event(number)).unwrap();
        accepted += u32::from(status == 202);
        (status != 202).then_some((status, body))
    });
    let (status, body) = refusal.expect("a full disk takes no events");
    assert!((500..600).contains(&status), "{status} {body}");
    disk.free().unwrap();
    wait::until("an event to be taken again", PATIENCE, || {
        Ok(embedded.try_send(&event(5_000)).then_some(()))
    })
    .unwrap();
    accepted += 1;
    wait::until("what was acknowledged", PATIENCE, || {
        let spend = embedded.get("/v1/spend?from=2026-11-01&to=2026-12-01");
        Ok((spend["rows"][0]["attempts"].as_u64() >= Some(u64::from(accepted))).then_some(()))
    })
    .unwrap();
    let spend = embedded.get("/v1/spend?from=2026-11-01&to=2026-12-01");
    assert_eq!(spend["rows"][0]["attempts"], accepted);
    assert_eq!(embedded.get("/v1/audit")["clean"], true);
}
