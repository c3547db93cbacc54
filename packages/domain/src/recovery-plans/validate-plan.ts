// What is wrong with a plan by itself, whatever its machines are doing: for the editor while somebody draws, and before a run.
import type { PlanGroup, PlanMachine, PlanNames, RecoveryPlan } from './plan.ts'
import {
  atGroup,
  atItem,
  blocker,
  findingsWhere,
  type PlanFinding,
  warning,
  wholePlan,
} from './plan-finding.ts'
import { itemsOf, machinesOf, stepsOf } from './plan-items.ts'
import { validateOrder } from './validate-order.ts'
import { validateParameters } from './validate-parameters.ts'
import { validateStep } from './validate-step.ts'

/** Every fault beside what it is about. `names`: the protections that there are. Pure, and quick enough for every key stroke. */
export function validatePlan(plan: RecoveryPlan, names: PlanNames): readonly PlanFinding[] {
  const duplicates = duplicateIds(plan)
  return [
    ...checkHead(plan),
    ...validateParameters(plan.parameters),
    ...plan.groups.flatMap(checkGroup),
    ...duplicates,
    ...checkMachines(machinesOf(plan), names),
    ...stepsOf(plan).flatMap((step) => validateStep(step, plan.parameters)),
    // With two items of one id nobody can say which of them something waits for.
    ...(duplicates.length === 0 ? validateOrder(plan, names) : []),
  ]
}

const checkHead = ({ name, priority, targetRtoSeconds, groups }: RecoveryPlan): readonly PlanFinding[] =>
  findingsWhere([
    [
      name.trim() === '',
      blocker(wholePlan, {
        code: 'no-name',
        message: 'The plan has no name',
        remedy: 'Name it after what it brings back, such as "Web shop".',
      }),
    ],
    [
      !Number.isInteger(priority) || priority < 1 || priority > 9,
      blocker(wholePlan, {
        code: 'priority-range',
        message: 'The priority is out of range',
        remedy: 'Choose 1 to 9; plans with a higher one fail over first.',
      }),
    ],
    [
      targetRtoSeconds !== null && !(targetRtoSeconds > 0),
      blocker(wholePlan, {
        code: 'target-range',
        message: 'The target RTO must be more than 0 s',
        remedy: 'Say how long a recovery may take, or leave the target out.',
      }),
    ],
    [
      groups.every(isEmpty),
      blocker(wholePlan, {
        code: 'empty',
        message: 'There is nothing in the plan',
        remedy: 'Add the machines that must come up together.',
      }),
    ],
  ])

const isEmpty = ({ before, machines, after }: PlanGroup): boolean =>
  before.length + machines.length + after.length === 0

const checkGroup = (group: PlanGroup): readonly PlanFinding[] =>
  findingsWhere([
    [
      group.name.trim() === '',
      warning(atGroup(group.id), {
        code: 'no-name',
        message: 'The group has no name',
        remedy: 'Name it after what it brings up, such as "Databases".',
      }),
    ],
    [
      isEmpty(group),
      warning(atGroup(group.id), {
        code: 'empty-group',
        message: `There is nothing in the group "${group.name}"`,
        remedy: 'Drag machines or steps into it, or remove it.',
      }),
    ],
  ])

/** Letters, digits, `_`, `.` and `-`: safe in YAML, in a URL and beside the gates of the order. */
const isId = (id: string): boolean => /^[\w.-]+$/.test(id)

function duplicateIds(plan: RecoveryPlan): readonly PlanFinding[] {
  const seen = new Set<string>()
  const spots = [
    ...plan.groups.map(({ id }) => ({ id, at: atGroup(id) })),
    ...itemsOf(plan).map(({ item: { id } }) => ({ id, at: atItem(id) })),
  ]
  return spots.flatMap(({ id, at }) => {
    const twice = seen.has(id)
    seen.add(id)
    return findingsWhere([
      [
        twice,
        blocker(at, {
          code: 'duplicate-id',
          message: `The id "${id}" is there twice`,
          remedy: 'Give every group, machine and step an id of its own.',
        }),
      ],
      [
        !isId(id),
        blocker(at, {
          code: 'bad-id',
          message: `"${id}" cannot be an id`,
          remedy: 'Use letters, digits, "_", "." and "-" only.',
        }),
      ],
    ])
  })
}

function checkMachines(machines: readonly PlanMachine[], names: PlanNames): readonly PlanFinding[] {
  const seen = new Set<string>()
  return machines.flatMap(({ id, protectionId }) => {
    const twice = seen.has(protectionId)
    seen.add(protectionId)
    const name = names.get(protectionId)
    return findingsWhere([
      [
        twice,
        blocker(atItem(id), {
          code: 'machine-twice',
          message: `The machine "${name ?? protectionId}" is in the plan twice`,
          remedy: 'Remove one of the two: a machine comes up once.',
        }),
      ],
      [
        name === undefined,
        blocker(atItem(id), {
          code: 'unknown-protection',
          message: `There is no protection "${protectionId}"`,
          remedy: 'Choose a protected machine, or remove this one from the plan.',
        }),
      ],
    ])
  })
}
