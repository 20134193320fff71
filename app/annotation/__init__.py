"""The transactional heart: plan -> claim -> assignment -> label -> ledger.

A transaction that changes assignments, labels, a pair's counts or the ledger first locks the
project's row.
"""
