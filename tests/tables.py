"""Data as people have them: a CSV with stars, a TSV with class names, a JSON array, shards, a `datasets` folder."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

NOUNS = ("box", "cable", "handle", "lamp", "lid", "manual", "motor", "screen", "strap", "wheel", "button", "cover")
OPINIONS = {
    "bad": ("broken", "awful", "useless", "late", "bent", "loud"),
    "fair": ("okay", "average", "plain", "usable", "cheap", "simple"),
    "good": ("great", "lovely", "perfect", "solid", "quiet", "bright"),
}
FILLERS = [f"w{i}" for i in range(300)]  # words without an opinion


def reviews(folder, n=240):
    """Write reviews.csv: stars from 1 to 5, some missing, and numbers, yes and no, and colours that tell of them."""
    rng = np.random.default_rng(0)
    stars = rng.integers(1, 6, n)
    frame = pd.DataFrame(
        {
            "review_id": [f"r{i:05d}" for i in range(n)],
            "colour": rng.choice(["red", "blue", "green"], n),
            "price": np.round(10 + 4 * stars + rng.normal(0, 2, n), 2),
            "weeks": rng.integers(0, 60, n),
            "verified": rng.random(n) < 0.15 * stars,
            "stars": stars.astype(float),
        }
    )
    frame.loc[rng.random(n) < 0.1, "stars"] = np.nan
    frame.to_csv(folder / "reviews.csv", index=False)


def opinions(folder, n=240):
    """Write opinions.tsv: names of classes and texts."""
    rng = np.random.default_rng(1)
    names = rng.choice(list(OPINIONS), n)
    texts = [
        f"The {rng.choice(NOUNS)} is {rng.choice(OPINIONS[name])} and the {rng.choice(NOUNS)} is "
        f"{rng.choice(OPINIONS[name])}, {' '.join(rng.choice(FILLERS, 4))}."
        for name in names
    ]
    pd.DataFrame({"class": names, "text": texts}).to_csv(folder / "opinions.tsv", sep="\t", index=False)


def answers(folder, n=240):
    """Write answers.json: an array of conversations with a judge's scores, three models to a prompt."""
    rng = np.random.default_rng(2)
    objects = []
    for i in range(n):
        score = int(rng.integers(0, 4))
        words = " ".join(rng.choice(FILLERS, 3 + 3 * score))
        turns = [{"role": "user", "content": f"Why number {i // 3}?"}, {"role": "assistant", "content": words}]
        objects.append(
            {
                "id": i + 100,
                "prompt_id": f"p{i // 3}",
                "messages": turns,
                "gpt_scores": score if i % 8 else None,
                "llama_scores": int(np.clip(score + rng.integers(-1, 2), 0, 3)),
                "model": ("ada", "bob", "cy")[i % 3],
            }
        )
    (folder / "answers.json").write_text(json.dumps(objects))


def shards(folder, n=240):
    """Write the folder shards: parquet files with vectors, sorted by their label, with its text and a split."""
    rng = np.random.default_rng(3)
    label = np.sort(rng.integers(0, 3, n))
    vectors = (np.eye(3, 8)[label] + 0.5 * rng.standard_normal((n, 8))).astype(np.float32)
    (folder / "shards").mkdir()
    for part in range(3):
        rows = slice(part * n // 3, (part + 1) * n // 3)
        table = pa.table(
            {
                "key": np.arange(n)[rows],
                "embedding": list(vectors[rows]),
                "label": label[rows],
                "label_text": np.array(["no", "maybe", "yes"])[label[rows]].tolist(),
                "split": ["train", "test"] * (n // 6),
            }
        )
        pq.write_table(table, folder / "shards" / f"part-{part}.parquet")


def saved(folder, n=240):
    """Write the folder saved as the `datasets` library does: an Arrow stream with the names of its classes."""
    rng = np.random.default_rng(4)
    label = rng.integers(0, 2, n)
    label[::9] = -1  # how the library marks a row without a label
    texts = [
        f"{' '.join(rng.choice(FILLERS, 5))} {('calm', 'rude')[y]} {' '.join(rng.choice(FILLERS, 5))}" for y in label
    ]
    names = {
        "label": {"names": ["polite", "toxic"], "_type": "ClassLabel"},
        "text": {"dtype": "string", "_type": "Value"},
    }
    schema = pa.schema(
        {"text": pa.string(), "label": pa.int64()}, {"huggingface": json.dumps({"info": {"features": names}})}
    )
    (folder / "saved").mkdir()
    with pa.ipc.new_stream(str(folder / "saved" / "data-00000-of-00001.arrow"), schema) as out:
        out.write_table(pa.table([texts, label], schema=schema))
    (folder / "saved" / "dataset_info.json").write_text(json.dumps({"features": names}))
    (folder / "saved" / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]})
    )


JOURNEYS = {"reviews.csv": reviews, "opinions.tsv": opinions, "answers.json": answers, "shards": shards, "saved": saved}
