// A plan as a text that people read, keep under version control and send to each other: machines go by the names of their protections.
import { Refusal } from '@understudy/base/errors'
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
  const document = {
    understudyPlan: 1,
    ...head,
    groups: groups.map((group) => ({
      ...group,
      machines: group.machines.map(({ protectionId, ...machine }) => ({
        ...machine,
        protection: names.get(protectionId) ?? protectionId,
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
  const ids = new Map([...names].map(([id, name]) => [name, id]))
  const unknown: string[] = []
  const idOf = (name: string): ProtectionId => {
    const id = ids.get(name)
    if (id === undefined) unknown.push(name)
    return id ?? ('' as ProtectionId)
  }
  const plan = {
    ...head,
    groups: groups.map((group) => ({
      ...group,
      machines: group.machines.map(({ protection, ...machine }) => ({
        ...machine,
        protectionId: idOf(protection),
      })),
    })),
  }
  if (unknown.length > 0)
    throw new Refusal({
      code: 'recovery-plan/unknown-machine',
      message: `No machine is protected under the name ${unknown.map((name) => `"${name}"`).join(', ')}`,
      remedy: 'Protect it first, or correct its name in the text.',
    })
  return plan
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
