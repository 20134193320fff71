"""Preference pairs as OpenRLHF reads them, for its DPO and reward-model trainers.

One row a pair: ``prompt``, ``chosen``, ``rejected`` (``--prompt_key``, ``--chosen_key``,
``--rejected_key``; lists of messages for ``--apply_chat_template``) and ``margin`` m of
−log σ(r(x, y_w) − r(x, y_l) − m), by the same rule as in ``reward``. Prompts with tools or tool
calls are left out: OpenRLHF gives its chat template no tools.
"""

from dataclasses import replace

from app.exports.recipe import Tools
from app.exports.recipes import reward

RECIPE = replace(
    reward.RECIPE,
    name="openrlhf",
    description="Preference pairs for OpenRLHF",
    tools=Tools.LEFT_OUT,
)
