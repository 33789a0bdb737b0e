//! Price files on the command line, against an embedded Tollbook: the whole map once and a second time, and a change
//! that has to be confirmed.

use std::time::Duration;

use tests::process::{Finished, Process, Recipe};
use tests::{folder, ports};

use crate::world::PATIENCE;

/// A map of 4,000 models in a debug build on a busy machine.
const IMPORT_PATIENCE: Duration = Duration::from_secs(180);

struct Shop {
    folder: tempfile::TempDir,
    process: Process,
}

impl Shop {
    fn open() -> Self {
        let folder = folder::fresh("prices").unwrap();
        let listen = format!("127.0.0.1:{}", ports::free().unwrap());
        let mut process = Recipe::tollbook("up")
            .unwrap()
            .arguments(["--data", folder.path().to_str().unwrap(), "--listen", &listen])
            .arguments(["--library", folder::fetched().join("engine/libchdb.so").to_str().unwrap()])
            .start()
            .unwrap();
        process.wait_for_line("Tollbook is up", PATIENCE).unwrap();
        Self { folder, process }
    }

    fn prices(&self, arguments: &[&str]) -> Finished {
        Recipe::tollbook("prices")
            .unwrap()
            .arguments(arguments)
            .arguments(["--data", self.folder.path().to_str().unwrap()])
            .run(IMPORT_PATIENCE)
            .unwrap()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[test]
fn the_whole_map_is_published_once_and_a_large_change_only_when_confirmed() {
    let mut shop = Shop::open();
    let map = folder::repository().join("schemas/prices/litellm/model_prices_1.106.2.json");
    let import = ["import", map.to_str().unwrap(), "--map-version", "1.106.2"];
    let first = shop.prices(&import).success().unwrap();
    assert!(first.contains("15697 prices: 15208 used, 489 refused"), "{first}");
    assert!(first.contains("3812 rows: 3812 new; 0 gone"), "{first}");
    let second = shop.prices(&import).success().unwrap();
    assert!(second.ends_with(
        "3812 rows: 3812 unchanged; 0 gone\nNothing to publish: every row is published already.\n"
    ));
    let listed = shop.prices(&["list", "--provider", "openai", "--model", "gpt-4o"]).success().unwrap();
    assert!(
        listed.contains("openai/gpt-4o@litellm-1.106.2") && listed.contains("by genai-prices 0.2.3"),
        "{listed}"
    );

    // 2.5 → 5.5 dollars is more than twice.
    let row = "id: openai/gpt-4o@mine\nprovider: openai\nmodel: gpt-4o\ncurrency: USD\nprices:\n\
               - {unit: input_uncached_tokens, amount: 5.5, per: 1000000}\n";
    let row = shop.file("row.yaml", row);
    let refused = shop.prices(&["publish", &row]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.stderr.contains("openai/gpt-4o@mine input_uncached_tokens: 2.5 / 1000000 → 5.5 / 1000000"),
        "{}",
        refused.stderr
    );
    let dry = shop.prices(&["publish", &row, "--dry-run"]).success().unwrap();
    assert!(dry.contains("+120.0 %") && dry.contains("nothing was published"), "{dry}");
    let done = shop.prices(&["publish", &row, "--yes"]).success().unwrap();
    assert!(done.contains("Published: 1 changed"), "{done}");

    let wrong = shop.file("wrong.json", "{\"hello\": \"world\"}");
    let wrong = shop.prices(&["diff", &wrong]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(wrong.stderr.contains("a price file of no known form"), "{}", wrong.stderr);
    assert_eq!(shop.prices(&["diff", &row, "--from", "nothing"]).status.code(), Some(2));
    shop.process.terminate().unwrap();
    assert!(shop.process.wait(PATIENCE).unwrap().success());
}
