"""Runs `vllm bench serve` as often as it is asked to within one process: importing it takes longer than most runs.

Reads one JSON list of its arguments a line; writes one JSON line of its result for each, with `cpu_seconds` of its
`benchmark()` alone: not of the import, the prompts or the tokenizer. What it prints goes to standard error.
"""

import contextlib
import json
import sys
import time

from vllm.benchmarks import serve
from vllm.utils.argparse_utils import FlexibleArgumentParser

answers = sys.stdout
inner = serve.benchmark


async def timed(*arguments, **named):
    start = time.process_time()
    result = await inner(*arguments, **named)
    result["cpu_seconds"] = time.process_time() - start
    return result


serve.benchmark = timed
parser = FlexibleArgumentParser()
serve.add_cli_args(parser)
print("ready", file=answers, flush=True)
for line in sys.stdin:
    with contextlib.redirect_stdout(sys.stderr):
        result = serve.main(parser.parse_args(json.loads(line)))
    print(json.dumps(result, default=str), file=answers, flush=True)
