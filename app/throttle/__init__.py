"""How many requests a key may make a minute, and how many wrong keys an address may send."""
