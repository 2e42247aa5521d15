#!/usr/bin/env python3
"""Writes config/prices.json anew from a catalogue of pydantic/genai-prices (its prices/data_slim.json) and prices.own.json.

    config/prices.py CATALOGUE DATE

DATE (YYYY-MM-DD) is the day that the catalogue's figures are of. What the catalogue does not know, and providers publish,
stands in prices.own.json; where both name a rate, ours wins.
"""

import json
import sys
from decimal import Decimal
from pathlib import Path

HERE = Path(__file__).parent

# The catalogue's names of rates (USD per million tokens), and ours: parts of `usage`, less `_tokens`.
RATES = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "cache_audio_read_mtok": "cache_audio_read",
}

# The dialect in which an answer of the API reports its usage, where the API's name does not say it.
DIALECTS = {
    ("anthropic", "default"): "anthropic",
    ("minimax", "default"): "anthropic",
    ("aws", "default"): "bedrock",
    ("google", "default"): "gemini",
    ("cohere", "default"): "cohere",
    ("cohere", "tokens"): "cohere",
}
BY_NAME = {"anthropic": "anthropic", "responses": "responses", "embeddings": "embeddings"}


def rates(prices, table):
    """The rates of one price, with `above` for sizes of context."""
    out, above = {}, {}
    for name, price in prices.items():
        if name == "requests_kcount":
            out["requests"] = price * 1000
        elif isinstance(price, dict):
            out[RATES[name]] = price["base"]
            for tier in price["tiers"]:
                above.setdefault(tier["start"], {})[RATES[name]] = tier["price"]
        else:
            out[RATES[name]] = price
    tiers = [{"tokens": start, **above[start]} for start in sorted(above)]
    for one in [out, *tiers]:
        for rule in table:
            for name, times in rule.get("times_input", {}).items():
                if "input" in one and one["input"]:
                    one[name] = one["input"] * Decimal(str(times))
            if one is out:
                one.update(rule.get("rates", {}))
    if tiers:
        out["above"] = tiers
    return out


def time(clock):
    return clock.removesuffix("Z").removesuffix(":00")


def model(entry, provider, rules):
    """A model's entry: prices in the order of the catalogue, of which the last that applies is in force."""
    table = [rule for rule in rules if provider in rule["providers"] and applies(rule, entry["id"])]
    given = entry["prices"]
    listed = given if isinstance(given, list) else [{"prices": given}]
    prices = []
    for one in listed:
        price = rates(one["prices"], table)
        when = one.get("constraint", {})
        if "start_date" in when:
            price["from"] = when["start_date"]
        if "start_time" in when:
            price["daily"] = [time(when["start_time"]), time(when["end_time"])]
        tiers = {}
        for rule in table:
            tiers.update(rule.get("service_tiers", {}))
        if tiers:
            price["service_tiers"] = tiers
        prices.append(price)
    return {"id": entry["id"], "match": entry["match"], "prices": prices}


def applies(rule, model):
    name = model.lower()
    return any(name == like or (like.endswith("*") and name.startswith(like[:-1]))
               or (like.startswith("*") and like.strip("*") in name) for like in rule["models"])


def apis(provider, own):
    """Each API of the provider: the dialect of its usage, and the parts that it reports."""
    out = {}
    for extractor in provider.get("extractors", []):
        name = extractor["api_flavor"]
        dialect = DIALECTS.get((provider["id"], name)) or BY_NAME.get(name, "chat")
        parts = {mapping["dest"] for mapping in extractor["mappings"]}
        parts.update(own.get("*", {}).get(dialect, []))
        parts.update(own.get(f"{provider['id']}/{name}", []))
        out[name] = {"dialect": dialect, "parts": sorted(parts)}
    return out


def main(catalogue, date):
    source = json.loads(Path(catalogue).read_text(), parse_float=Decimal, parse_int=int)
    own = json.loads((HERE / "prices.own.json").read_text(), parse_float=Decimal)
    providers = []
    for provider in source:
        one = {"id": provider["id"], "name": provider["name"], "api": provider["api_pattern"]}
        for theirs, ours in [("provider_match", "names"), ("model_match", "models_like"),
                             ("fallback_model_providers", "fallback")]:
            if theirs in provider:
                one[ours] = provider[theirs]
        if reported := apis(provider, own["parts"]):
            one["apis"] = reported
        added = [entry for entry in own["models"] if entry["provider"] == provider["id"]]
        one["models"] = [{"id": entry["id"], "match": entry["match"], "prices": entry["prices"]} for entry in added]
        one["models"] += [model(entry, provider["id"], own["rules"]) for entry in provider["models"]]
        providers.append(one)
    write(HERE / "prices.json", date, providers)


class Plain(json.JSONEncoder):
    """Decimals as they are, not as floats."""

    def iterencode(self, value, _one_shot=False):
        yield from self.parts(value)

    def parts(self, value):
        if isinstance(value, Decimal):
            # Some figures went through a float on their way: the gateway counts twelve digits.
            yield format(round(value, 12).normalize(), "f")
        elif isinstance(value, dict):
            yield "{" + ",".join(f"{json.dumps(k)}:{''.join(self.parts(v))}" for k, v in value.items()) + "}"
        elif isinstance(value, list):
            yield "[" + ",".join("".join(self.parts(v)) for v in value) + "]"
        else:
            yield json.dumps(value, ensure_ascii=False)


def write(path, date, providers):
    """A line a model, so that a renewal can be read as a diff."""
    def dump(value):
        return json.dumps(value, cls=Plain)
    with path.open("w") as out:
        source = "https://github.com/pydantic/genai-prices (MIT), and prices.own.json"
        out.write(f'{{"date":{dump(date)},"source":{dump(source)},"providers":[\n')
        for index, provider in enumerate(providers):
            models = provider.pop("models")
            head = dump(provider)[:-1]
            lines = ",\n".join(dump(one) for one in models)
            out.write(f'{head},"models":[\n{lines}\n]}}{"," if index + 1 < len(providers) else ""}\n')
        out.write("]}\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
