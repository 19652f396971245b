"""The verbs: each module carries out the steps of one sort; `dispatch` knows which."""
