"""What the benches' figures have in common: NAME_figures.py table|json FACTS <raw lines."""

import json
import sys


def tell(figures, print_table):
    """figures(facts, raw): the result but for its raw lines."""
    form, facts = sys.argv[1], json.loads(sys.argv[2])
    raw = [json.loads(line) for line in sys.stdin]
    result = {**figures(facts, raw), "raw": raw}
    if form == "json":
        print(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        print_table(result)
