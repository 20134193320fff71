"""Preference pairs as OpenRLHF reads them, for its DPO and reward-model trainers.

One row a pair: ``prompt``, ``chosen``, ``rejected`` (``--prompt_key``, ``--chosen_key``,
``--rejected_key``; lists of messages for ``--apply_chat_template``) and ``margin`` m of
−log σ(r(x, y_w) − r(x, y_l) − m), by the same rule as in ``reward``.
"""

from dataclasses import replace

from app.exports.recipes import reward

RECIPE = replace(reward.RECIPE, name="openrlhf", description="Preference pairs for OpenRLHF")
