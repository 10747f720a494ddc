"""The request bodies of associations; see `bodies` for how strict they are."""

from pydantic import Field

from calstream_sandbox.hubspot.bodies import AssociationSpec, Body, ObjectId


class AssociationPair(Body):
    """Two objects."""

    from_: ObjectId = Field(alias="from")
    to: ObjectId


class LabelledPair(AssociationPair):
    """Two objects and the types that associate them."""

    types: list[AssociationSpec]


class ArchivedPairs(Body):
    """One object and those it is to be parted from."""

    from_: ObjectId = Field(alias="from")
    to: list[ObjectId]


class AssociationPage(Body):
    """One object whose associations are asked for."""

    id: str
    after: str | None = None


class BatchPairs(Body):
    """The body of a batch of default associations."""

    inputs: list[AssociationPair]


class BatchLabelledPairs(Body):
    """The body of a batch create of associations, or of an archive of labels."""

    inputs: list[LabelledPair]


class BatchArchivedPairs(Body):
    """The body of a batch archive of associations."""

    inputs: list[ArchivedPairs]


class BatchAssociationPages(Body):
    """The body of a batch read of associations."""

    inputs: list[AssociationPage]
