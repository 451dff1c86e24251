"""lm-eval's `local-completions` on tasks that are made here: log-likelihoods by `echo` and `logprobs`, of choices and of whole texts,
and generations up to a stop string. The proxy before 2p1d gives what the decoder alone gives, to the last digit."""

import json

import pytest

import clients
from deployment import EXAMPLE_MODEL

ROWS = [
    ("The capital of France is", [" Paris", " London", " a cheese"], 0),
    ("Two and two are", [" five", " four", " nothing at all"], 1),
    ("The sun rises in the", [" north", " west", " east"], 2),
    ("Water is made of hydrogen and", [" oxygen", " iron", " sand"], 0),
    ("Once upon a time, in a small village by the sea, there lived an old" * 6, [" fisherman", " computer", " sea"], 0),
    ("A week has", [" nine days", " seven days", " days"], 1),
]
COMMON = """
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
metadata: {{version: 1}}
"""
TASKS = {
    "choices": """
output_type: multiple_choice
doc_to_text: "{{text}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
target_delimiter: ""
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
""",
    "texts": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: word_perplexity}]
""",
    "generations": """
output_type: generate_until
doc_to_text: "{{text}}"
doc_to_target: ""
generation_kwargs: {until: ["\\n", "."], max_gen_toks: 24, temperature: 0}
metric_list: [{metric: bypass, aggregation: bypass}]
""",
}


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    yield from clients.urls_of("lm-eval", tmp_path_factory.mktemp("logs"))


def responses(url, folder):
    """Of each task, what the model said to each request, in the order of the rows."""
    rows = folder / "rows.jsonl"
    fields = ("text", "choices", "answer")
    rows.write_text("\n".join(json.dumps(dict(zip(fields, row))) for row in ROWS))
    for name, task in TASKS.items():
        (folder / f"{name}.yaml").write_text(f"task: {name}" + COMMON.format(rows=rows) + task)
    model = f"model={EXAMPLE_MODEL},base_url={url}/v1/completions,tokenizer_backend=huggingface"
    clients.run(
        "lm-eval", "lm_eval", "--model", "local-completions", "--tasks", ",".join(TASKS), "--include_path", folder,
        "--model_args", f"{model},tokenizer={clients.TOKENIZER},num_concurrent=4,max_length=2048", "--batch_size", "2",
        "--log_samples", "--output_path", folder / "out", folder=folder,
    )  # fmt: skip
    said = {}
    for name in TASKS:
        (path,) = (folder / "out").rglob(f"samples_{name}_*.jsonl")
        samples = sorted(map(json.loads, path.read_text().splitlines()), key=lambda sample: sample["doc_id"])
        said[name] = [sample["resps"] for sample in samples]
    return said


def test_lm_eval_scores_and_generates(urls, tmp_path):
    said = []
    for number, url in enumerate(urls):
        folder = tmp_path / str(number)
        folder.mkdir()
        said.append(responses(url, folder))
    assert said[0] == said[1]
    assert [len(said[0][name]) for name in TASKS] == [len(ROWS)] * 3
    scores = [float(choice[0][0]) for choice in said[0]["choices"][0]]
    assert scores[0] == max(scores) < 0
