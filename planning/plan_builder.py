"""How a plan is made: layers of settings, the weakest first, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

from ..base.errors import UsageError
from ..base.setting_values import convert
from ..base.settings import Given, SettingsBuilder, flatten, read_settings, replace_settings, setting_types
from ..base.suggestions import unknown
from ..recipes.citations import DEFAULT, citations
from ..recipes.overrides import Place, typed
from ..recipes.recipe import Recipe, Stage, StudentRow, Variant
from ..recipes.recipe_file import load_recipe
from ..zoo.references import parse_reference
from .adaptation import LR, adapt, adapt_length, is_other_data
from .facts import KNOWN_CLASSES, read_facts
from .following import BATCH, EPOCHS, SIZE, follow_batch_size, follow_data, follow_epochs, pin_student, pin_teachers
from .memory import describe_memory
from .own_data import OURS, Subject, follow_own_data
from .plan import DataFacts, Plan, RunSettings
from .plan_checks import check_plan, shrink_batch
from .recorded import Recorded, stored_views
from .starting_weights import own_input

PRECISION, AUTO = "training.precision", "auto"
_DATASET = "data.dataset"
_IN_PROPORTION = (EPOCHS, LR, SIZE)
_SIZE_STEP = 8


class PlanBuilder(SettingsBuilder):
    """Makes one plan: applies the layers of settings, then what follows from them.

    Args:
        origin: A recipe's name or a recipe file.
        given: What the user gave.
        variants: Names of variants.
        stage: The stage whose plan it is, or None for what the recipe's stages share.
        common: What they share; given with ``stage``.
        recorded: What the run had when it began, where it goes on.
    """

    def __init__(
        self,
        origin: str,
        given: dict[str, Given],
        variants: tuple[str, ...],
        *,
        stage: Stage | None = None,
        common: Plan | None = None,
        recorded: Recorded | None = None,
    ) -> None:
        self.stage, self.common, self.recorded = stage, common, recorded
        loaded = load_recipe(origin)
        self.base, self.origin, self.from_file = loaded.recipe, loaded.origin, loaded.changed
        self.follows = self.base.base or self.base.name
        self.is_ours = self.follows in OURS
        self.cited = citations(self.base)
        own = {path: (value, self._recipe_source(path, loaded.changed)) for path, value in flatten(self.base).items()}
        super().__init__(setting_types(self.base), own)
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.adapted: list[str] = []
        self.adapts = False
        self.variants = tuple(self._variant(name) for name in variants)
        self.auto_precision = given[PRECISION].source if PRECISION in given and given[PRECISION].value == AUTO else None
        self.given = {path: item for path, item in given.items() if path != PRECISION or self.auto_precision is None}
        self.run = self._run_settings()
        self.all_given = self._typed_given()
        self.typed_given = self.all_given
        self.variants = (*self._own_variants(), *self.variants)
        self.chosen: set[str] = set()

    def _recipe_source(self, path: str, changed: frozenset[str]) -> str:
        if path in changed and self.base.code is None:
            return self.origin
        citation = self.cited.get(path, DEFAULT)
        return citation if citation == DEFAULT else f"{self.base.name}: {citation}"

    def _typed_given(self) -> dict[str, Any]:
        """What was given of the recipe's settings; one student's row of the table is the recipe's own affair."""
        where = f"'kdzoo recipes show {self.base.name}' lists them all"
        values = {path: item.value for path, item in self.given.items() if not path.startswith("run.")}
        for path in values:
            if Place.parse(path).student is not None:
                raise unknown(path, self.types, what="setting", where=where)
        return typed(self.base, values, where=where)

    def _variant(self, name: str) -> Variant:
        for variant in self.base.variants:
            if variant.name == name:
                return variant
        names = [variant.name for variant in self.base.variants]
        raise unknown(name, names, what=f"variant of {self.base.name}", where=f"there are {', '.join(names) or 'none'}")

    def _own_variants(self) -> tuple[Variant, ...]:
        """The variants that the student brings along: its row's, or what the recipe has for networks of its kind."""
        name, asked = self._student_name(), {variant.name for variant in self.variants}
        row = self.base.student_row(name)
        if row is not None:
            own, what = tuple(self._variant(own) for own in row.variants), f"{row.name} is trained"
        elif any(variant.students for variant in self.base.variants):
            network = parse_reference(name).architecture
            fit = (one for one in self.base.variants if any(fnmatch(network, pattern) for pattern in one.students))
            own, what = tuple(fit)[:1], f"{network} is outside the table and trained"
        else:
            return ()
        own = tuple(variant for variant in own if variant.name not in asked)
        self.notes.extend(f"{what} with variant {variant.name}: {variant.why}" for variant in own)
        return own

    def _dataset(self) -> str:
        """The data set whose settings a variant takes: what was given where its name is known, else the recipe's."""
        named = [one.overrides[_DATASET] for one in self.variants if _DATASET in one.overrides]
        given = str(self.all_given.get(_DATASET, "")).partition(":")[0]
        if given in KNOWN_CLASSES and given != "digits":
            return given
        return str(named[-1] if named else self.values[_DATASET])

    def _run_settings(self) -> RunSettings:
        given = {path: item for path, item in self.given.items() if path.startswith("run.")}
        read = read_settings(setting_types(RunSettings(), "run."), given)
        if {"run.budget", EPOCHS} <= self.given.keys():
            both = " and ".join(self.given[path].source for path in ("run.budget", EPOCHS))
            raise UsageError(f"a budget and a number of epochs are both given ({both})", hint="leave one of them out")
        return RunSettings(**{path.removeprefix("run."): value for path, (value, _) in read.items()})

    # -- layers ----------------------------------------------------------------------------------------------------

    def _apply_layers(self) -> None:
        """Row, then variants, then the stage, then what was given; the student's name decides the row."""
        name = self._student_name()
        self.row = self.base.student_row(name)
        if self.row is not None:
            self._apply_row(self.row)
        named = None if self.stage is None else self.stage.name
        for stage in (None,) if named is None else (None, named):
            self.published = {path: self.values[path] for path in (*_IN_PROPORTION, BATCH)}
            if stage is not None and self.stage is not None:
                for path, value in self.stage.overrides.items():
                    citation = self.cited.get(f"stages.{stage}.{path}", self.origin)
                    self.put(path, value, f"stage {stage}: {citation}")
            for path, value, source in self._table_overrides(stage):
                self.put(path, value, source)
        self.own_dataset = str(self.values[_DATASET])
        own = set() if named is None else self._stage_settings(named)
        self.before = {path: self.values[path] for path in (EPOCHS, BATCH)}
        for path in own & set(_IN_PROPORTION):
            self._keep_proportion(path, self.published[path])
        self.typed_given = {
            path: value
            for path, value in self.all_given.items()
            if Place.parse(path).stage is None and path not in own - {BATCH}
        }
        sources = {path: self.given[path].source for path in self.typed_given}
        if named is not None:
            for path, value in self.all_given.items():
                if Place.parse(path).stage == named:
                    setting = Place.parse(path).setting
                    self.typed_given[setting], sources[setting] = value, self.given[path].source
        for path, value in self.typed_given.items():
            self.put(path, value, sources[path])
        places = [Place.parse(path) for variant in self.variants for path in variant.overrides]
        row = self.row.name if self.row is not None else None
        by_variant = {p.setting for p in places if p.student in (None, row) and p.stage in (None, named)}
        self.chosen = by_variant | own | set(self.typed_given)
        self.user_given = {*self.typed_given, *self.from_file}
        self.values["student.model"] = name

    def _table_overrides(self, stage: str | None) -> Iterator[tuple[str, Any, str]]:
        """(setting, value, source) of what the student's row and the variants change, in one stage or in all."""
        row = self.row.name if self.row is not None else None
        if self.row is not None:
            for path, value in self.row.overrides.items():
                place = Place.parse(path)
                if place.stage == stage:
                    citation = self.cited.get(f"students.{row}.overrides.{path}", self.origin)
                    yield place.setting, value, f"{self.base.name}: students.{row}, {citation}"
        for variant in self.variants:
            for path, value in variant.overrides.items():
                place = Place.parse(path)
                if place.stage == stage and place.student in (None, row) and place.dataset in (None, self._dataset()):
                    citation = self.cited.get(f"variants.{variant.name}.{path}", self.origin)
                    yield place.setting, value, f"variant {variant.name}: {citation}"

    def _stage_settings(self, named: str) -> set[str]:
        """The settings that the stage has its own value of."""
        overrides = {} if self.stage is None else self.stage.overrides
        return {*overrides, *(path for path, _, _ in self._table_overrides(named))}

    def _keep_proportion(self, path: str, published: Any) -> None:
        """The stage's own value moves with the recipe's, whose published value became another.

        A rate that was adapted to the batch does not count: the stage's is adapted to its own batch.
        """
        assert self.common is not None
        if path == LR and LR not in self.all_given:
            return
        own, now = self.values[path], self.common.settings()[path]
        if now == published:
            return
        scaled = own * now / published
        if path == EPOCHS:
            scaled = max(1, round(scaled))
        elif path == SIZE:
            scaled = max(_SIZE_STEP, _SIZE_STEP * round(scaled / _SIZE_STEP))
        source = self.sources[path]
        self.put(path, scaled, f"{source}; scaled from {own:g} as {published:g} became {now:g}")

    def _student_name(self) -> str:
        name = self.values["student.model"]
        for variant in self.variants:
            name = variant.overrides.get("student.model", name)
        return str(self.all_given.get("student.model", name))

    def _apply_row(self, row: StudentRow) -> None:
        prefix = f"{self.base.name}: students.{row.name}"
        for path, value, field in (
            ("teachers.models", row.teachers, "teachers"),
            (SIZE, row.image_size, "image_size"),
        ):
            citation = self.cited.get(f"students.{row.name}.{field}", self.origin)
            self.put(path, value, f"{prefix}, {citation}")

    def follow(self, path: str, value: Any, source: str) -> Any:
        """Set what follows from something else where nobody gave it; what is recorded of it goes first.

        Returns:
            The value that holds.
        """
        if path not in self.user_given:
            if self.recorded is not None and path in self.recorded.settings:
                known = convert(self.recorded.settings[path], self.types[path], path)
                value, source = (value, source) if known == value else (known, self.recorded.source)
            self.put(path, value, source)
        return self.values[path]

    @property
    def starts_from_weights(self) -> bool:
        """Whether the student, of a stage the first one's, starts from weights."""
        init = self.values["student.init"] if self.common is None else self.common.recipe.student.init
        return bool(init == "pretrained")

    def recipe(self) -> Recipe:
        """The recipe with the settings as they stand."""
        return replace_settings(self.base, self.values)

    def _facts(self) -> DataFacts:
        """Of the stage's data; what the stages share is not read again."""
        if self.common is not None:
            names = ("data.dataset", "data.val_dataset", "data.unlabeled")
            if all(self.values[name] == self.common.settings()[name] for name in names):
                return self.common.facts
        return read_facts(self.recipe())

    def _follow(self, facts: DataFacts) -> None:
        """What follows from the data and the student where nobody gave it; references are pinned."""
        if self.recorded is None and self.run.labels is not None:
            self.recorded = stored_views(self.run.labels, self.base, self.stage)
        self.adapts = not (self.is_ours or self.run.exact) and is_other_data(self, facts)
        pin_student(self, facts)
        own = own_input(parse_reference(str(self.values["student.model"])))
        if not self.is_ours:
            adapt_length(self, facts)
            follow_epochs(self)
        if self.is_ours:
            dataset, pretrained = str(self.values[_DATASET]).partition(":")[0], self.starts_from_weights
            follow_own_data(
                self, Subject(recipe=self.follows, pretrained=pretrained, facts=facts, dataset=dataset, own=own)
            )
        elif self.adapts:
            adapt(self, facts, own)
        else:
            follow_batch_size(self)
        follow_data(self, facts)
        pin_teachers(self, facts)
        self._follow_device()

    def _follow_device(self) -> None:
        """The precision, where the device decides: bf16 if it has that, otherwise and with ``--exact`` the recipe's."""
        if self.auto_precision is None or self.run.exact:
            return
        from ..engine.precision import computes_bf16

        has = computes_bf16(self.run.device)
        why = f"{self.auto_precision} {AUTO}: the device {'computes' if has else 'does not compute'} bf16"
        self.follow(PRECISION, "bf16" if has else self.values[PRECISION], why)

    def plan(self) -> Plan:
        """The plan."""
        self._apply_layers()
        facts = self._facts()
        self.notes.extend(facts.notes if self.common is None else ())
        if BATCH in self.typed_given:
            shrink_batch(self, facts)
        self._follow(facts)
        shrink_batch(self, facts)
        recipe = self.recipe()
        check_plan(recipe, facts, self.notes, self.warnings)
        if facts.num_classes is not None:
            self.notes.extend(recipe.objective.notes(facts.num_classes))
        if facts.num_images is not None:
            share = recipe.training.batch_size // recipe.training.accumulate
            memory = recipe.objective.memory(facts.num_images, share, len(recipe.teachers.models))
            self.notes.extend(() if memory is None else (describe_memory(memory),))
        run_sources = {
            path: self.given[path].source if path in self.given else DEFAULT for path in flatten(self.run, "run.")
        }
        return Plan(
            recipe=recipe,
            origin=self.origin,
            variants=tuple(variant.name for variant in self.variants),
            run=self.run,
            facts=facts,
            sources={**self.sources, **run_sources},
            notes=tuple(self.notes),
            warnings=tuple(self.warnings),
            adapted=tuple(self.adapted),
        )
