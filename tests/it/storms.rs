//! Random kills while traffic flows: of the worker, of the engine, of both. The seed of the moments is printed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use traffic::{Config, Truth};

use crate::world::World;

const KILLS: u64 = 10;

/// Pseudo-random moments from a seed: the low bits of a linear congruential generator are poor, the high ones serve.
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
        eprintln!("seed of the moments: {seed}");
        Self(u64::from(seed))
    }

    /// Lets a random time below `most` pass. The moment itself is what is tested, so nothing is waited for.
    fn pass(&mut self, most: Duration) {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let micros = (self.0 >> 33) % u64::try_from(most.as_micros()).unwrap();
        let until = Instant::now() + Duration::from_micros(micros);
        while Instant::now() < until {
            std::thread::park_timeout(until - Instant::now());
        }
    }
}

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
