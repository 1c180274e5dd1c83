"""Ray as far as the executor calls it, in this process: a task is done when it is waited for, pickled as Ray would."""

import pickle
from collections import Counter
from types import ModuleType, SimpleNamespace


class RayError(Exception):
    """What Ray raises of itself."""


class WorkerCrashedError(RayError):
    """A worker's process ended."""


class TaskCancelledError(RayError):
    """A task was cancelled: raised in it."""


class RayTaskError(RayError):
    """A task raised."""

    def __init__(self, cause):
        super().__init__(str(cause))
        self.cause = cause


class FakeRay(ModuleType):
    """A cluster that does what a test says.

    lost       how many workers the run of a seed loses, by the seed
    interrupt  the number of the call of `wait` that is interrupted; None is never
    stubborn   tasks that stop only when forced to
    """

    def __init__(self, *, nodes=({"CPU": 2.0},), lost=None, interrupt=None, stubborn=False, on_init=None):
        super().__init__("ray")
        self.exceptions = SimpleNamespace(
            RayError=RayError,
            RayTaskError=RayTaskError,
            TaskCancelledError=TaskCancelledError,
            WorkerCrashedError=WorkerCrashedError,
        )
        self.resources, self.lost, self.interrupt, self.stubborn = nodes, Counter(lost), interrupt, stubborn
        self.on_init = on_init
        self.session, self.sessions, self.waits = None, [], 0
        self.requests, self.cancelled, self.most = [], [], 0
        self.pending, self.done = {}, {}

    def init(self, **settings):
        self.session = settings
        self.sessions.append(settings)
        if self.on_init is not None:
            self.on_init()

    def is_initialized(self):
        return self.session is not None

    def shutdown(self):
        self.session = None

    def nodes(self):
        assert self.session is not None
        return [{"Alive": True, "Resources": resources} for resources in self.resources] + [
            {"Alive": False, "Resources": {"CPU": 1000.0, "GPU": 1000.0}}
        ]

    def remote(self, function):
        def options(**request):
            self.requests.append(request)
            return SimpleNamespace(remote=lambda *arguments: self._send(function, arguments))

        return SimpleNamespace(options=options)

    def _send(self, function, arguments):
        task = len(self.pending) + len(self.done)
        self.pending[task] = pickle.dumps((function, arguments))
        self.most = max(self.most, len(self.pending))
        return task

    def wait(self, tasks, *, num_returns=1, timeout):
        assert timeout > 0
        self.waits += 1
        if self.waits == self.interrupt:
            raise KeyboardInterrupt
        stopped = [task for task in tasks if self.done.get(task) == "stopped"]
        if num_returns > 1 or stopped:
            return stopped, [task for task in tasks if task not in stopped]
        self._work(tasks[0])
        return tasks[:1], tasks[1:]

    def _work(self, task):
        function, arguments = pickle.loads(self.pending.pop(task))
        seed = arguments[0].seed
        if self.lost[seed]:
            self.lost[seed] -= 1
            self.done[task] = WorkerCrashedError("The worker died.\nSee\nits log. And so on.")
            return
        try:
            self.done[task] = function(*arguments)
        except Exception as error:
            self.done[task] = RayTaskError(error)

    def get(self, task):
        result = self.done[task]
        if isinstance(result, Exception):
            raise result
        return result

    def cancel(self, task, *, force):
        self.cancelled.append((task, force))
        if force or not self.stubborn:
            self.pending.pop(task, None)
            self.done[task] = "stopped"
