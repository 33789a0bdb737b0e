"""Writes the fixture of `tests/it/genai_prices.rs`: random usage of many models, priced by the package `genai-prices`.

Run by hand, when the package or this script changes:

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install genai-prices==0.2.3
    /tmp/venv/bin/python ledger/tests/oracle/price_usage.py ledger/tests/fixtures/genai_prices

It shares no code with the ledger: quantities are drawn here, written as a provider would report them, read back by the
package's extractors, divided and priced by the package with exact decimals. The same prices are written as model rows,
one version for each instant from which the package has others. What the two do differently by design is told by the
rules in `difference`, and kept in the fixture under that name, so that the test can show it.
"""

import itertools
import json
import random
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal, getcontext
from fractions import Fraction
from pathlib import Path

import genai_prices
from genai_prices import data_snapshot
from genai_prices.decompose import compute_leaf_values
from genai_prices.types import ConditionalPrice, StartDateConstraint, TieredPrices, TimeOfDateConstraint, Usage
from genai_prices.units import _get_registry

getcontext().prec = 60
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RANDOM = random.Random(3)

# The package's price keys and our units. A unit of ours that is not here is not compared.
UNITS = {
    "input_mtok": "input_uncached_tokens",
    "output_mtok": "output_text_tokens",
    "cache_read_mtok": "input_cache_read_tokens",
    "cache_write_mtok": "input_cache_write_tokens",
    "cache_write_1h_mtok": "input_cache_write_1h_tokens",
    "input_audio_mtok": "input_uncached_audio_tokens",
    "input_image_mtok": "input_uncached_image_tokens",
    "input_video_mtok": "input_uncached_video_tokens",
    "cache_audio_read_mtok": "input_cache_read_audio_tokens",
    "cache_image_read_mtok": "input_cache_read_image_tokens",
    "cache_video_read_mtok": "input_cache_read_video_tokens",
    "output_audio_mtok": "output_audio_tokens",
    "output_image_mtok": "output_image_tokens",
    "output_video_mtok": "output_video_tokens",
    "output_reasoning_mtok": "output_reasoning_tokens",
    "output_citation_mtok": "output_citation_tokens",
    "input_mchars": "input_characters",
    "audio_hours": "input_audio_seconds",
    "input_document_kpages": "input_pages",
    "input_annotated_document_kpages": "input_annotated_pages",
    "web_searches_kcount": "web_search_calls",
    "storage_searches_kcount": "file_search_calls",
    "requests_kcount": "requests",
}
# The tiers of ours that the package's request context names.
CONTEXTS = {
    ("processing", "batch"): "processing=batch",
    ("service_tier", "flex"): "service_tier=flex",
    ("service_tier", "priority"): "service_tier=priority",
    ("speed", "fast"): "speed=fast",
}
# The same tier under another name, at the same prices: compared under the first name only.
SAME = {("service_tier", "fast"), ("service_tier", "default")}
# Where a unit without a price takes it from, and what the ledger never prices by another unit.
CHAINS = {
    "input_cache_read_tokens": ["input_uncached_tokens"],
    "input_cache_write_tokens": ["input_uncached_tokens"],
    "input_cache_write_5m_tokens": ["input_cache_write_tokens", "input_uncached_tokens"],
    "input_uncached_audio_tokens": ["input_uncached_tokens"],
    "input_uncached_image_tokens": ["input_uncached_tokens"],
    "input_uncached_video_tokens": ["input_uncached_tokens"],
    "input_tool_tokens": ["input_uncached_tokens"],
    "input_cache_read_audio_tokens": ["input_cache_read_tokens", "input_uncached_tokens"],
    "input_cache_read_image_tokens": ["input_cache_read_tokens", "input_uncached_tokens"],
    "input_cache_read_video_tokens": ["input_cache_read_tokens", "input_uncached_tokens"],
    "output_reasoning_tokens": ["output_text_tokens"],
}


def is_token(unit):
    return unit.endswith("_tokens")


class Row:
    """The prices of a model from one instant on."""

    def __init__(self, provider, model, start, standard, windows, variants):
        self.provider, self.model, self.start = provider, model, start
        self.standard, self.windows, self.variants = standard, windows, variants
        sets = [standard, *(prices for _, prices in windows), *variants.values()]
        stored = [price for prices in sets for price in prices.values() if isinstance(price, TieredPrices)]
        self.floors = sorted({tier.start for price in stored for tier in price.tiers})

    def lines(self):
        """`unit conditions = amount / per`."""
        for demand, prices in [("", self.standard), *self.windows, *self.variants.items()]:
            for key, price in prices.items():
                per = _get_registry().unit_for_price_key(key).per
                if not is_token(UNITS[key]):
                    yield f"{UNITS[key]} {demand} = {price} / {per}"
                    continue
                # A price without steps holds in each of them; a row of ours has to say so.
                yield f"{UNITS[key]} {demand} = {at_size(price, 0)} / {per}"
                for floor in self.floors:
                    demands = f"{demand} prompt_tokens_total>{floor}".strip()
                    yield f"{UNITS[key]} {demands} = {at_size(price, floor + 1)} / {per}"

    def minimums(self):
        is_whisper = self.provider == "groq" and self.model in ("whisper-large-v3", "whisper-large-v3-turbo")
        return {"input_audio_seconds": "10"} if is_whisper else {}

    def difference(self, units, context):
        """Why the ledger's result differs by design; `None` where it must be the same to the last digit."""
        stated = {UNITS[key] for key in self.standard}
        tier = {UNITS[key] for key in self.variants.get(CONTEXTS.get(context, ""), {})}
        tool, prompt = units.get("input_tool_tokens", 0), prompt_of(units)
        if any(prompt <= floor < prompt + tool for floor in self.floors):
            return "tool_tokens_count_towards_the_step"
        for unit in units:
            if not is_token(unit):
                continue
            if context is not None and unit in stated and unit not in tier:
                return "standard_price_in_a_tier"
            if unit in stated:
                continue
            if unit == "input_cache_write_1h_tokens":
                return "five_minute_price_for_an_hour"
            if unit in ("output_audio_tokens", "output_image_tokens", "output_video_tokens"):
                return "text_price_for_other_output"
            if unit == "output_citation_tokens":
                return "text_price_for_citations"
            modality = unit.removeprefix("input_cache_read_")
            if modality in ("audio_tokens", "image_tokens", "video_tokens") and f"input_uncached_{modality}" in stated:
                return "price_of_a_modality_for_what_was_cached"
            first = next((other for other in CHAINS.get(unit, []) if other in stated), None)
            if first is None:
                return "no_price_at_all"
            if context is not None and first not in tier:
                return "standard_price_in_a_tier"
        return None


def at_size(price, prompt):
    if not isinstance(price, TieredPrices):
        return price
    return next((tier.price for tier in reversed(price.tiers) if prompt > tier.start), price.base)


def prices_of(stored):
    return {key: price for key, price in stored.__dict__.items() if price is not None}


def rows_of(provider, model):
    """The versions of a model, or why it is not compared."""
    conditional = model.prices if isinstance(model.prices, list) else [ConditionalPrice(prices=model.prices)]
    variants = model.price_variants or []
    sets = [prices_of(one.prices) for one in [*conditional, *variants]]
    if not all(key in UNITS for prices in sets for key in prices):
        return "a unit that the ledger does not have, or reports in another way"
    for variant in variants:
        context = tuple(next(iter(variant.when.items())))
        if len(variant.when) != 1 or (context not in CONTEXTS and context not in SAME):
            return "a context that the ledger does not have"
        if isinstance(variant.constraint, TimeOfDateConstraint):
            return "a tier by the hour"
    starts = {one.constraint.start_date for one in [*conditional, *variants] if isinstance(one.constraint, StartDateConstraint)}
    rows = []
    for start in [None, *sorted(starts)]:
        at = datetime(start.year, start.month, start.day, tzinfo=UTC) if start else datetime(2015, 1, 1, tzinfo=UTC)
        active = [one for one in conditional if not isinstance(one.constraint, TimeOfDateConstraint)
                  and (one.constraint is None or one.constraint.active(at))]
        standard = prices_of((active[-1] if active else conditional[0]).prices)
        windows = [(window(one.constraint), prices_of(one.prices)) for one in conditional
                   if isinstance(one.constraint, TimeOfDateConstraint)]
        tiers = {}
        for variant in variants:
            if variant.constraint is not None and not variant.constraint.active(at):
                continue
            context = tuple(next(iter(variant.when.items())))
            if context == ("service_tier", "default"):
                if any(standard.get(key) != price for key, price in prices_of(variant.prices).items()):
                    return "a default tier at other prices than the standard ones"
            elif context not in SAME:
                # The first variant that states a price goes before later ones.
                for key, price in prices_of(variant.prices).items():
                    tiers.setdefault(CONTEXTS[context], {}).setdefault(key, price)
        if any(key in prices for _, prices in windows for key in prices if key not in standard):
            return "a window that prices more than the other hours"
        rows.append(Row(provider.id, model.id, start and at, standard, windows, tiers))
    return rows


def window(constraint):
    start, end = constraint.start_time, constraint.end_time
    return f"utc={start:%H:%M}-{end:%H:%M}/1234567"


def prompt_of(units):
    others = ("input_tool_tokens", "input_grounding_tokens")
    return sum(count for unit, count in units.items() if unit.startswith("input_") and is_token(unit) and unit not in others)


def draw(row, extra):
    """Disjoint quantities: most of what the row prices, and a few of what it does not."""
    units = {}
    stated = [UNITS[key] for key in row.standard]
    wished = [unit for unit in stated if unit != "requests" and RANDOM.random() < 0.75]
    if any(is_token(unit) for unit in stated):
        wished += [unit for unit in extra if RANDOM.random() < 0.3]
        wished += [unit for unit in RARE if RANDOM.random() < 0.1 and unit not in wished]
        if "input_cache_write_tokens" in wished and RANDOM.random() < 0.5:
            wished.append("input_cache_write_5m_tokens")
    for unit in wished or stated[:1]:
        largest = RANDOM.choice([3, 500, 40_000, 2_000_000]) if is_token(unit) else RANDOM.choice([3, 70, 4000])
        units[unit] = RANDOM.randint(1, largest)
    if "input_audio_seconds" in units:
        units["input_audio_seconds"] = Decimal(RANDOM.randint(1, 90_000)) / 1000
    # The edges of a step: exactly at it, and one above.
    if row.floors and "input_uncached_tokens" in units and RANDOM.random() < 0.5:
        wanted = RANDOM.choice(row.floors) + RANDOM.choice([0, 1])
        left = wanted - (prompt_of(units) - units["input_uncached_tokens"])
        if left > 0:
            units["input_uncached_tokens"] = left
    return units


def usage_of(units):
    """The inclusive counters that the package asks for."""
    get = lambda unit: units.get(unit, 0)
    values = {
        "input_tokens": prompt_of(units) + get("input_tool_tokens"),
        "output_tokens": sum(count for unit, count in units.items() if unit.startswith("output_") and is_token(unit)),
        "cache_write_5m_tokens": get("input_cache_write_5m_tokens"),
        "cache_write_1h_tokens": get("input_cache_write_1h_tokens"),
        "cache_write_tokens": sum(get(f"input_cache_write_{ttl}tokens") for ttl in ("", "5m_", "1h_")),
        "cache_read_tokens": get("input_cache_read_tokens"),
        "output_reasoning_tokens": get("output_reasoning_tokens"),
        "output_citation_tokens": get("output_citation_tokens"),
        "input_tool_tokens": get("input_tool_tokens"),
        "input_characters": get("input_characters"),
        "web_searches": get("web_search_calls"),
        "storage_searches": get("file_search_calls"),
        "input_document_pages": get("input_pages") + get("input_annotated_pages"),
        "input_annotated_document_pages": get("input_annotated_pages"),
        "audio_seconds": get("input_audio_seconds"),
    }
    for modality in ("audio", "image", "video"):
        cached = get(f"input_cache_read_{modality}_tokens")
        values[f"cache_{modality}_read_tokens"] = cached
        values[f"input_{modality}_tokens"] = cached + get(f"input_uncached_{modality}_tokens")
        values[f"output_{modality}_tokens"] = get(f"output_{modality}_tokens")
        values["cache_read_tokens"] += cached
    return Usage(**values)


def total(model, provider, usage, at, context):
    """What the package says, and the same with each of its lines rounded half-even at 18 decimals, as ours are."""
    context = dict([context]) if context else None
    calculation = model.calc_price(usage, provider, genai_request_timestamp=at, price_context=context)
    if provider.id == "groq" and "whisper-large-v3" in model.id and usage.reported_value("audio_seconds") > 0:
        usage = Usage(audio_seconds=max(usage.reported_value("audio_seconds"), Decimal(10)))
    registry = _get_registry()
    prices = [(registry.unit_for_price_key(key), price) for key, price in prices_of(calculation.model_price).items()]
    counts = compute_leaf_values({unit.usage_key for unit, _ in prices} - {"requests"}, usage, registry.units)
    counts["requests"] = 1
    is_tiered = any(isinstance(price, TieredPrices) for _, price in prices)
    size = usage.input_tokens if is_tiered else 0
    raw = 0
    for unit, price in prices:
        exact = Fraction(at_size(price, size)) * Fraction(Decimal(counts[unit.usage_key])) / unit.per
        raw += round(exact * 10**18)  # Python rounds fractions half to even
    rounded = Decimal(raw).scaleb(-18)
    assert abs(rounded - calculation.total_price) <= Decimal("1e-17"), (model.id, rounded, calculation.total_price)
    return rounded


def reportable(style):
    """The units that a report of this style can tell."""
    known = {
        "chat": {"input_cache_write_tokens", "output_audio_tokens", "input_uncached_audio_tokens"},
        "responses": {"input_cache_write_tokens"},
        "realtime": {"input_uncached_audio_tokens", "input_uncached_image_tokens", "input_cache_read_audio_tokens",
                     "input_cache_read_image_tokens", "output_audio_tokens"},
        "anthropic": {"input_cache_write_5m_tokens", "input_cache_write_1h_tokens", "web_search_calls"},
        "bedrock": {"input_cache_write_5m_tokens", "input_cache_write_1h_tokens"},
        "gemini": {"input_uncached_audio_tokens", "input_uncached_image_tokens", "input_uncached_video_tokens",
                   "input_cache_read_audio_tokens", "input_cache_read_image_tokens", "input_cache_read_video_tokens",
                   "output_audio_tokens", "output_image_tokens", "output_video_tokens", "input_tool_tokens"},
        "xai": set(),
    }[style] | {"input_uncached_tokens", "input_cache_read_tokens", "output_text_tokens"}
    if style not in ("bedrock", "realtime"):
        known = known | {"output_reasoning_tokens"}
    return known


def report_of(units, style):
    """The same quantities as a provider reports them."""
    get = lambda unit: units.get(unit, 0)

    prompt = prompt_of(units)
    output = sum(count for unit, count in units.items() if unit.startswith("output_") and is_token(unit))
    reasoning = get("output_reasoning_tokens")
    if style in ("chat", "responses", "realtime"):
        audio = get("input_uncached_audio_tokens") + get("input_cache_read_audio_tokens")
        image = get("input_uncached_image_tokens") + get("input_cache_read_image_tokens")
        cached = {name: get(f"input_cache_read_{unit}tokens") for name, unit in
                  [("text_tokens", ""), ("audio_tokens", "audio_"), ("image_tokens", "image_")]}
        incoming = {"cached_tokens": sum(cached.values())}
        outgoing = {}
        if style != "realtime":
            incoming["cache_write_tokens"] = get("input_cache_write_tokens")
            outgoing["reasoning_tokens"] = reasoning
        if style == "chat":
            incoming["audio_tokens"] = audio
        if style == "realtime":
            incoming |= {"text_tokens": prompt - audio - image, "audio_tokens": audio, "image_tokens": image,
                         "cached_tokens_details": cached}
            outgoing["text_tokens"] = get("output_text_tokens")
        if style != "responses":
            outgoing["audio_tokens"] = get("output_audio_tokens")
        into, out, detail = {"chat": ("prompt_tokens", "completion_tokens", "tokens_details"),
                             "responses": ("input_tokens", "output_tokens", "tokens_details"),
                             "realtime": ("input_tokens", "output_tokens", "token_details")}[style]
        into_details, out_details = (f"{name.split('_')[0]}_{detail}" for name in (into, out))
        return {into: prompt, out: output, "total_tokens": prompt + output, into_details: incoming, out_details: outgoing}
    if style == "anthropic":
        five, hour = get("input_cache_write_5m_tokens"), get("input_cache_write_1h_tokens")
        return {"input_tokens": get("input_uncached_tokens"), "cache_read_input_tokens": get("input_cache_read_tokens"),
                "cache_creation_input_tokens": five + hour,
                "cache_creation": {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour},
                "output_tokens": output, "output_tokens_details": {"thinking_tokens": reasoning},
                "server_tool_use": {"web_search_requests": get("web_search_calls")}}
    if style == "bedrock":
        five, hour = get("input_cache_write_5m_tokens"), get("input_cache_write_1h_tokens")
        return {"inputTokens": get("input_uncached_tokens"), "cacheReadInputTokens": get("input_cache_read_tokens"),
                "cacheWriteInputTokens": five + hour, "outputTokens": output, "totalTokens": prompt + output,
                "cacheDetails": [{"ttl": "5m", "inputTokens": five}, {"ttl": "1h", "inputTokens": hour}]}
    if style == "xai":
        return {"prompt_tokens": prompt, "completion_tokens": output - reasoning, "total_tokens": prompt + output,
                "prompt_tokens_details": {"text_tokens": prompt, "cached_tokens": get("input_cache_read_tokens")},
                "completion_tokens_details": {"reasoning_tokens": reasoning}}
    modalities = lambda one: [{"modality": name.upper() or "TEXT", "tokenCount": one(f"{name}_" if name else "")}
                              for name in ("", "audio", "image", "video")]
    cached = modalities(lambda name: get(f"input_cache_read_{name}tokens"))
    return {"promptTokenCount": prompt, "cachedContentTokenCount": sum(one["tokenCount"] for one in cached),
            "candidatesTokenCount": output - reasoning, "thoughtsTokenCount": reasoning,
            "toolUsePromptTokenCount": get("input_tool_tokens"),
            "totalTokenCount": prompt + get("input_tool_tokens") + output,
            "promptTokensDetails": modalities(lambda name: get(f"input_uncached_{name}tokens") + get(f"input_cache_read_{name}tokens")),
            "cacheTokensDetails": cached,
            "candidatesTokensDetails": modalities(lambda name: get(f"output_{name or 'text_'}tokens"))}


# Style, our endpoint family, the package's extractor, and where it looks for the usage.
STYLES = {
    "openai": [("chat", "openai", "chat", "usage"), ("responses", "openai-response", "responses", "usage"),
               ("realtime", "realtime", "realtime", "response.usage")],
    "anthropic": [("anthropic", "anthropic", "default", "usage")],
    "aws": [("bedrock", "bedrock", "default", "usage")],
    "google": [("gemini", "gemini", "default", "usageMetadata")],
    "x-ai": [("xai", "openai", "chat", "usage"), ("responses", "openai-response", "responses", "usage")],
    "mistral": [("chat", "openai", "default", "usage")],
    "groq": [("chat", "openai", "default", "usage")],
    "deepseek": [("chat", "openai", "chat", "usage")],
    "moonshotai": [("chat", "openai", "chat", "usage")],
    "openrouter": [("chat", "openai", "chat", "usage")],
    "azure": [("chat", "openai", "chat", "usage")],
}
# How the package's reading of a report differs by design. Only text is cached where nobody says what else.
RARE = ["input_tool_tokens", "input_cache_read_audio_tokens", "input_cache_write_1h_tokens", "output_audio_tokens", "output_image_tokens"]
EXTRA = ["input_cache_read_tokens", "output_reasoning_tokens", "input_cache_write_5m_tokens", "input_uncached_audio_tokens"]


def reads_otherwise(provider, report, style, units):
    """Why the package reads a report differently by design."""
    if style == "chat" and provider in ("mistral", "groq", "deepseek") and units.get("input_cache_write_tokens"):
        return "writes_are_not_read"
    if style == "chat" and provider in ("mistral", "deepseek", "moonshotai") and units.get("input_uncached_audio_tokens"):
        return "audio_is_not_read"
    if style == "chat" and provider in ("mistral", "moonshotai") and units.get("output_audio_tokens"):
        return "audio_is_not_read"
    if style == "chat" and units.get("input_uncached_audio_tokens") and (units.get("input_cache_read_tokens") or units.get("input_cache_write_tokens")):
        return "joint_split_is_not_reported"
    return None


def instants(rows):
    """A start and the millisecond before it, a window's edges, and some time."""
    found = [EPOCH + timedelta(milliseconds=RANDOM.randint(1_767_225_600_000, 1_796_000_000_000))]
    for row in reversed(rows[1:]):
        found += [row.start, row.start - timedelta(milliseconds=1)]
    for demand, _ in rows[-1].windows:
        day = datetime(2026, 10, RANDOM.randint(1, 28), tzinfo=UTC)
        for clock in demand.removeprefix("utc=").split("/")[0].split("-"):
            hour, minute = map(int, clock.split(":"))
            edge = day + timedelta(hours=hour, minutes=minute)
            found += [edge, edge - timedelta(milliseconds=1)]
    return found


def chosen(snapshot):
    """Models worth a look: all kinds of prices, from many providers."""
    for provider in snapshot.providers:
        interesting, plain = [], []
        for model in provider.models:
            rows = rows_of(provider, model)
            if isinstance(rows, str):
                yield provider, model, rows
                continue
            kinds = sum([bool(rows[-1].floors), 2 * bool(rows[-1].variants), 2 * bool(rows[-1].windows),
                         len(rows) > 1, any("audio" in key or "image" in key for key in rows[-1].standard)])
            rank = (kinds, RANDOM.random())
            (interesting if kinds else plain).append((rank, model, rows))
        interesting.sort(key=lambda one: one[0], reverse=True)
        most = {"openai": 8, "google": 6, "anthropic": 6, "aws": 4, "x-ai": 3, "deepseek": 4, "groq": 4, "mistral": 5}
        RANDOM.shuffle(plain)
        for _, model, rows in interesting[: most.get(provider.id, 1)] + plain[: 2 if provider.id in most else 1]:
            yield provider, model, rows


def main(folder):
    snapshot = data_snapshot.get_snapshot()
    rows_out, cases, skipped = [], [], {}
    for provider, model, rows in chosen(snapshot):
        if isinstance(rows, str):
            skipped[rows] = skipped.get(rows, 0) + 1
            continue
        for number, row in enumerate(rows):
            rows_out.append({
                "id": f"{row.provider}/{row.model}@{number}", "provider": row.provider, "model": row.model,
                "effective_from": row.start and int((row.start - EPOCH) / timedelta(milliseconds=1)),
                "prices": [" ".join(line.split()) for line in row.lines()], "minimums": row.minimums(),
            })
        contexts = [None, *(context for context, name in CONTEXTS.items() if name in rows[-1].variants)]
        styles = [None, *STYLES.get(provider.id, [])]
        for at in instants(rows)[:6] * 2:
            row = next(row for row in reversed(rows) if row.start is None or at >= row.start)
            for context in contexts if at >= (rows[-1].start or at) else [None]:
                style = RANDOM.choice(styles)
                units = draw(row, EXTRA)
                if style:
                    told = {unit: count for unit, count in units.items() if unit in reportable(style[0])}
                    style, units = (style, told) if told else (None, units)
                case = {"provider": provider.id, "model": model.id,
                        "at": int((at - EPOCH) / timedelta(milliseconds=1))}
                if context:
                    case |= {context[0]: context[1]}
                usage = usage_of(units)
                report = style and report_of(units, style[0])
                difference = row.difference(units, context)
                if report:
                    reading = reads_otherwise(provider.id, report, style[0], units)
                    if reading:
                        skipped[reading] = skipped.get(reading, 0) + 1
                        continue
                    body = report
                    for name in reversed(style[3].split(".")):
                        body = {name: body, "model": model.id}
                    _, usage = provider.extract_usage(body, api_flavor=style[2])
                    case |= {"endpoint_family": style[1], "usage": report}
                else:
                    case["units"] = {unit: str(count) for unit, count in units.items()}
                case["total"] = str(total(model, provider, usage, at, context).normalize() + 0)
                case["total"] = f"{Decimal(case['total']):f}"
                if difference:
                    case["difference"] = difference
                cases.append(case)
    header = {"source": f"genai-prices {genai_prices.__version__}", "license": "MIT",
              "skipped": dict(sorted(skipped.items()))}
    lines = [header, *rows_out, *cases]
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (Path(folder) / "cases.jsonl").write_text(text)
    classes = {key: len(list(group)) for key, group in itertools.groupby(sorted(case.get("difference", "") for case in cases))}
    print(f"{len(rows_out)} rows, {len(cases)} cases, {len(text)} bytes, {classes}, {header['skipped']}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
