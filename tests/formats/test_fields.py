"""Fields of what others wrote are read by their type, and are absent where they have another."""

from __future__ import annotations

from bakehouse.formats import fields

OF = {"size": 4, "name": "x", "yes": True, "rate": 0.5, "none": None, "kinds": ["a", 1, {"b": 2}], "inner": {"size": 8}}


def test_a_field_of_another_type_is_absent() -> None:
    assert [fields.integer(OF, name) for name in ("size", "name", "yes", "rate", "none", "absent")] == [4, None, None, None, None, None]
    assert [fields.number(OF, name) for name in ("size", "yes", "rate", "absent")] == [4, None, 0.5, None]
    assert [fields.text(OF, name) for name in ("name", "size", "absent")] == ["x", "", ""]
    assert (fields.texts(OF, "kinds"), fields.texts(OF, "name"), fields.objects(OF, "kinds")) == (("a",), (), ({"b": 2},))
    assert (fields.nested(OF, "inner"), fields.nested(OF, "kinds")) == ({"size": 8}, {})


def test_the_first_integer_of_several_fields_counts() -> None:
    assert (fields.first(OF, "name", "size"), fields.first(OF, "name")) == (4, None)
