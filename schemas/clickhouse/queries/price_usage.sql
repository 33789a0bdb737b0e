-- The quantities of fixed token units of each provider and model, by all that a price of tokens may depend on: tier,
-- processing, speed, places and the context step, which a slot counts. Entries that cost nothing by what they are, and
-- those with lines or dimensions of another kind, are counted apart.
WITH
    toUInt64(greatest(
        input_uncached_tokens + input_cache_read_tokens + input_cache_write_tokens
        + input_cache_write_5m_tokens + input_cache_write_1h_tokens, 0)) AS prompt,
    startsWith(dimensions, 'inference_geo=') AND position(dimensions, ' ') = 0 AS is_placed
SELECT
    toString(provider) AS provider_name,
    toString(model) AS model_name,
    toString(service_tier) AS tier_name,
    toString(processing) AS processing_name,
    toString(speed) AS speed_name,
    toString(region) AS region_name,
    arrayCount(floor -> floor <= prompt, {floors:Array(UInt64)}) AS slot,
    empty(line_units) AND (dimensions = '' OR is_placed) AS is_told,
    if(is_told AND is_placed, substring(dimensions, length('inference_geo=') + 1), '') AS geo_name,
    countIf(kind = 'usage') AS entries,
    max(prompt) AS prompt_max,
    sum(input_uncached_tokens) AS input_uncached,
    sum(input_cache_read_tokens) AS input_cache_read,
    sum(input_cache_write_tokens) AS input_cache_write,
    sum(input_cache_write_5m_tokens) AS input_cache_write_5m,
    sum(input_cache_write_1h_tokens) AS input_cache_write_1h,
    sum(output_text_tokens) AS output_text,
    sum(output_reasoning_tokens) AS output_reasoning
FROM entries
WHERE operation IN {operations:Array(UInt64)} AND outcome != 'not_billed' AND gateway_cache != 'hit' AND {{conditions}}
GROUP BY
    provider_name, model_name, tier_name, processing_name, speed_name, region_name, slot, is_told, geo_name
HAVING entries != 0
ORDER BY provider_name, model_name, tier_name, processing_name, speed_name, region_name, slot, is_told,
    geo_name
LIMIT {limit:UInt64}
