"""The planner: the process that holds FAISS and keeps each project's plan.

Start with ``decide``, which says what is done and in which order, and ``project``, which does it.

plan
    The order in which a project's pairs will be handed out: its open pairs by *position*, low ones
    first. Exploration pairs are drawn on arrival and have an order of their own.
arrival
    The moment at which an embedded prompt enters the index, and its group and draws are fixed. It
    is a *newcomer* until then. Arrivals come in the order of the transactions that wrote the
    embeddings.
plannable
    Of a prompt: it has arrived, and has pairs that are not in the plan.
round
    The n-th pairs of all prompts. Most strategies go *by round*: each prompt's best pair, then each
    prompt's second pair, and so on. A *collection-wide* strategy has one order of all pairs.
page, shortlist
    Prompts that are read, and given to the strategy, together. A page for a strategy that ranks
    prompts or learns is a shortlist.
horizon
    The position of the last pair of the nearer half of the plan (half of ``PLAN_AHEAD``). Before
    it, the plan is always what it would be if all pairs were in it. A plan that is shorter than
    that has no horizon.
top-up
    Adds the pairs that are missing before the horizon, or *fills* the plan to its full length.
unseen
    Of a pair: no annotator was given it, and it has no label. Only unseen pairs are ever removed or
    replaced.
outgrown
    Of a prompt: it got responses after its pairs were chosen. Its unseen pairs are removed, and the
    next top-up chooses again.
foreign
    Of an unseen pair: another strategy than the project's chose it.
basis
    What pairs are chosen with: the strategy, the prices, the model.
renewal
    Replaces all unseen pairs because of another basis, of foreign pairs, or of many new prompts for
    a strategy that ranks prompts.
step, turn
    A step is one thing to do for a plan. In its turn, a project catches up with the database and
    takes the steps that are due: each kind at most once.
"""
