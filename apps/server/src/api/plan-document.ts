// A plan as a text that people read, keep under version control and send to each other: machines go by the names of their protections.
// Two protections may have one name; where they do, machines go by the ids.
import { Refusal } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import { PlanText } from '@understudy/contract/plan-document'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { ProtectionNames, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import { Lexer, Parser, parseDocument, stringify } from 'yaml'
import { z } from 'zod'

/** Wider or deeper than any plan: what is meant to exhaust us is refused. */
const MOST_ALIASES = 100
const MOST_LEVELS = 50

export function planToYaml(plan: RecoveryPlan, names: ProtectionNames): string {
  const { id, groups, ...head } = plan
  const ids = idsByName(names)
  const textOf = (protectionId: ProtectionId): string => {
    const name = names.get(protectionId)
    return name !== undefined && ids.get(name)?.length === 1 ? name : protectionId
  }
  const document = {
    understudyPlan: 1,
    ...head,
    groups: groups.map((group) => ({
      ...group,
      machines: group.machines.map(({ protectionId, ...machine }) => ({
        ...machine,
        protection: textOf(protectionId),
      })),
    })),
  }
  return stringify(document, { lineWidth: 120 })
}

/** Refuses with every fault of the text, each with its place in it. */
export function yamlToPlan(text: string, names: ProtectionNames): Omit<RecoveryPlan, 'id'> {
  const parsed = PlanText.safeParse(readYaml(text))
  if (!parsed.success)
    throw new Refusal({
      code: 'recovery-plan/document',
      message: `The text is no plan: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`,
      remedy:
        'Correct it; /api/plan.schema.json describes what a plan may hold, and an exported plan is an example.',
    })
  const { understudyPlan, groups, ...head } = parsed.data
  const idOf = protectionFinder(
    groups.flatMap(({ machines }) => machines.map(({ protection }) => protection)),
    names,
  )
  return {
    ...head,
    groups: groups.map((group) => ({
      ...group,
      machines: group.machines.map(({ protection, ...machine }) => ({
        ...machine,
        protectionId: idOf(protection),
      })),
    })),
  }
}

function idsByName(names: ProtectionNames): ReadonlyMap<string, readonly ProtectionId[]> {
  const ids = new Map<string, ProtectionId[]>()
  for (const [id, name] of names) ids.set(name, [...(ids.get(name) ?? []), id])
  return ids
}

/** By name, or by id where no protection has that name. Refuses all that mean none at once, then all that could mean several. */
function protectionFinder(wanted: readonly string[], names: ProtectionNames): (text: string) => ProtectionId {
  const ids = idsByName(names)
  const meant = (text: string): readonly ProtectionId[] =>
    ids.get(text) ?? [...names.keys()].filter((id) => id === text)
  const found = new Map([...new Set(wanted)].map((text) => [text, meant(text)]))
  const listed = (isWrong: (count: number) => boolean): string =>
    [...found].flatMap(([text, { length }]) => (isWrong(length) ? [`"${text}"`] : [])).join(', ')
  const unknown = listed((count) => count === 0)
  if (unknown !== '')
    throw new Refusal({
      code: 'recovery-plan/unknown-machine',
      message: `No machine is protected under the name ${unknown}`,
      remedy: 'Protect it first, or correct its name in the text.',
    })
  const ambiguous = listed((count) => count > 1)
  if (ambiguous !== '')
    throw new Refusal({
      code: 'recovery-plan/ambiguous-machine',
      message: `More than one machine is protected under the name ${ambiguous}`,
      remedy: 'Name it by the id of its protection, as an exported plan does.',
    })
  return (text) => {
    const [id] = found.get(text) ?? []
    invariant(id !== undefined, 'Every machine of the text was looked up')
    return id
  }
}

/**
 * The library composes by recursion, and looks at each level again from every one above it: deep nesting holds up the server, or
 * ends it. Here the parser takes one token after the other, and what it has open is as many levels as we are deep, whatever their
 * style; a bracket in a string is no token. Its first entry is the document.
 */
function refuseDeep(text: string): void {
  const parser = new Parser()
  for (const token of new Lexer().lex(text)) {
    // What it yields are whole documents, which nobody wants yet.
    for (const _whole of parser.next(token));
    if (parser.stack.length - 1 > MOST_LEVELS)
      throw noYaml(`It is nested more than ${MOST_LEVELS} levels deep, at character ${parser.offset}`)
  }
}

function readYaml(text: string): unknown {
  refuseDeep(text)
  const document = parseDocument(text, { uniqueKeys: true, prettyErrors: true })
  const [fault] = document.errors
  if (fault) throw noYaml(fault.message)
  try {
    return document.toJS({ maxAliasCount: MOST_ALIASES })
  } catch (error) {
    throw noYaml(error instanceof Error ? error.message : String(error))
  }
}

const noYaml = (message: string): Refusal =>
  new Refusal({
    code: 'recovery-plan/document',
    message: `The text is no YAML: ${message.split('\n')[0] ?? ''}`,
    remedy: 'Correct it at the place that is named.',
  })
