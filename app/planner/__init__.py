"""The planner: the process that holds FAISS and keeps each project's plan."""
