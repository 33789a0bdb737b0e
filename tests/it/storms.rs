//! Random kills while traffic flows: of the worker, of the engine, of both. The seed of the moments is printed.

use std::time::Duration;

use traffic::{Config, Truth};

use crate::moments::Moments;
use crate::world::World;

const KILLS: u64 = 10;

fn produce_some(world: &World, truth: &mut Truth, seed: u64) {
    let more = world.produce(Config {
        seed,
        count: 1_000,
        duplicates_per_mille: 20,
        conflicts_per_mille: 5,
        rejects_per_mille: 10,
        ..Config::default()
    });
    truth.absorb(&more);
}

#[test]
fn ten_kills_of_the_worker_at_random_moments_lose_and_double_nothing() {
    let world = World::start(4);
    let mut moments = Moments::new();
    let mut worker = world.worker();
    world.wait_for_prices();
    let mut truth = Truth::new(traffic::Prices::built_in().unwrap());
    for seed in 0..KILLS {
        produce_some(&world, &mut truth, seed);
        moments.pass(Duration::from_secs(2));
        worker.kill().unwrap();
        worker = world.worker();
    }
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

#[test]
fn ten_kills_of_the_engine_at_random_moments_lose_and_double_nothing() {
    let mut world = World::start(4);
    let mut moments = Moments::new();
    let _worker = world.worker();
    world.wait_for_prices();
    let mut truth = Truth::new(traffic::Prices::built_in().unwrap());
    for seed in 0..KILLS {
        produce_some(&world, &mut truth, seed);
        moments.pass(Duration::from_secs(1));
        world.engine.kill().unwrap();
        world.engine.restart().unwrap();
    }
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}
