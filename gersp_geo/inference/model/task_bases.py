"""Tell torchgeo's tasks by the names of their classes: to import these takes seconds."""

from ...models.task_networks import TaskNetwork


def tasks_of(model: object) -> tuple[str, ...]:
    """List the tasks of torchgeo that a model is one of, as ``isinstance`` would tell.

    Args:
        model: Anything, or a class.

    Returns:
        Names of classes of ``torchgeo.tasks``, the most special first.
    """
    if isinstance(model, TaskNetwork):
        return model.tasks
    return tuple(base.__name__ for base in _bases(model) if _is_in(base, 'torchgeo.tasks'))


def is_plain(model: object, task: str) -> bool:
    """Say whether a model is a task of torchgeo and runs as that does, whatever else it adds."""
    if isinstance(model, TaskNetwork):
        return task in model.tasks
    return any(
        base.__name__ == task
        and _is_in(base, 'torchgeo.tasks')
        and getattr(base, 'forward', None) is getattr(type(model), 'forward', None)
        for base in _bases(model)
    )


def is_lightning(model: object) -> bool:
    """Say whether a model is a module of Lightning, or the network of one of torchgeo's."""
    if isinstance(model, TaskNetwork):
        return True
    return any(
        base.__name__ == 'LightningModule' and _is_in(base, 'lightning.pytorch')
        for base in _bases(model)
    )


def _bases(model: object) -> tuple[type, ...]:
    """List a class and all its bases."""
    return (model if isinstance(model, type) else type(model)).__mro__


def _is_in(cls: type, package: str) -> bool:
    """Say whether a class was defined in a package."""
    return f'{cls.__module__}.'.startswith(f'{package}.')
