"""Training on exported datasets: the papers' losses, trainers on top of TRL, evaluation."""
