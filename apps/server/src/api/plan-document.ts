// A plan as a text that people read, keep under version control and send to each other: machines go by the names of their
// protections, sites by theirs. Two may have one name; where they do, they go by the ids.
import { Refusal } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import { PlanText } from '@understudy/contract/plan-document'
import type {
  PlanGroup,
  PlanStep,
  ProtectionNames,
  RecoveryPlan,
} from '@understudy/domain/recovery-plans/plan'
import { mapSite } from '@understudy/domain/recovery-plans/step-action'
import { sitesOf } from '@understudy/domain/recovery-plans/validate-sites'
import type { SiteId } from '@understudy/domain/sites/site'
import { Lexer, Parser, parseDocument, stringify } from 'yaml'
import { z } from 'zod'

/** Wider or deeper than any plan: what is meant to exhaust us is refused. */
const MOST_ALIASES = 100
const MOST_LEVELS = 50

export type TextNames = {
  readonly protections: ProtectionNames
  readonly sites: ReadonlyMap<SiteId, string>
}

export function planToYaml(plan: RecoveryPlan, names: TextNames): string {
  const { id, groups, ...head } = plan
  const protectionText = nameGiver(names.protections)
  const siteText = nameGiver(names.sites)
  const document = {
    understudyPlan: 1,
    ...head,
    groups: groups.map((group) => ({
      ...withSites(group, siteText),
      machines: group.machines.map(({ protectionId, ...machine }) => ({
        ...machine,
        protection: protectionText(protectionId),
      })),
    })),
  }
  return stringify(document, { lineWidth: 120 })
}

/** Refuses with every fault of the text, each with its place in it. */
export function yamlToPlan(text: string, names: TextNames): Omit<RecoveryPlan, 'id'> {
  const read = readYaml(text)
  if (typeof read !== 'object' || read === null || Array.isArray(read))
    throw noYaml('It holds no fields, such as "understudyPlan: 1"')
  const parsed = PlanText.safeParse(read)
  if (!parsed.success)
    throw new Refusal({
      code: 'recovery-plan/document',
      message: `The text is no plan: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`,
      remedy:
        'Correct it; /api/plan.schema.json describes what a plan may hold, and an exported plan is an example.',
    })
  const { understudyPlan, groups, ...head } = parsed.data
  const protectionOf = finder(
    groups.flatMap(({ machines }) => machines.map(({ protection }) => protection)),
    names.protections,
    {
      unknown: {
        code: 'unknown-machine',
        message: 'No machine is protected under the name',
        remedy: 'Protect it first, or correct its name in the text.',
      },
      ambiguous: {
        code: 'ambiguous-machine',
        message: 'More than one machine is protected under the name',
        remedy: 'Name it by the id of its protection, as an exported plan does.',
      },
    },
  )
  const siteOf = finder(
    sitesOf({ groups: groups.map((group) => ({ ...group, machines: [] })) }),
    names.sites,
    {
      unknown: {
        code: 'unknown-site',
        message: 'A step runs a program at a site that is not there:',
        remedy: 'Register the site first, or correct its name in the text.',
      },
      ambiguous: {
        code: 'ambiguous-site',
        message: 'More than one site has the name',
        remedy: 'Name it by its id, as an exported plan does.',
      },
    },
  )
  return {
    ...head,
    groups: groups.map((group) => ({
      ...withSites(group, siteOf),
      machines: group.machines.map(({ protection, ...machine }) => ({
        ...machine,
        protectionId: protectionOf(protection),
      })),
    })),
  }
}

type Steps = Pick<PlanGroup, 'before' | 'after'>

/** With the sites of its steps said otherwise. */
const withSites = <Group extends Steps>(group: Group, toText: (site: SiteId) => string): Group => {
  const change = (step: PlanStep): PlanStep => ({
    ...step,
    action: mapSite(step.action, (site) => toText(site) as SiteId),
  })
  return { ...group, before: group.before.map(change), after: group.after.map(change) }
}

function idsByName<Id>(names: ReadonlyMap<Id, string>): ReadonlyMap<string, readonly Id[]> {
  const ids = new Map<string, Id[]>()
  for (const [id, name] of names) ids.set(name, [...(ids.get(name) ?? []), id])
  return ids
}

/** The name of what alone has it; else the id. */
function nameGiver<Id extends string>(names: ReadonlyMap<Id, string>): (id: Id) => string {
  const ids = idsByName(names)
  return (id) => {
    const name = names.get(id)
    return name !== undefined && ids.get(name)?.length === 1 ? name : id
  }
}

type Words = { readonly code: string; readonly message: string; readonly remedy: string }

/** By name, or by id where nothing has that name. Refuses all that mean none at once, then all that could mean several. */
function finder<Id extends string>(
  wanted: readonly string[],
  names: ReadonlyMap<Id, string>,
  { unknown, ambiguous }: { readonly unknown: Words; readonly ambiguous: Words },
): (text: string) => Id {
  const ids = idsByName(names)
  const meant = (text: string): readonly Id[] =>
    ids.get(text) ?? [...names.keys()].filter((id) => id === text)
  const found = new Map([...new Set(wanted)].map((text) => [text, meant(text)]))
  const refuse = ({ code, message, remedy }: Words, isWrong: (count: number) => boolean): void => {
    const listed = [...found].flatMap(([text, { length }]) => (isWrong(length) ? [`"${text}"`] : []))
    if (listed.length > 0)
      throw new Refusal({
        code: `recovery-plan/${code}`,
        message: `${message} ${listed.join(', ')}`,
        remedy,
      })
  }
  refuse(unknown, (count) => count === 0)
  refuse(ambiguous, (count) => count > 1)
  return (text) => {
    const [id] = found.get(text) ?? []
    invariant(id !== undefined, 'Everything that the text names was looked up')
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
  if (fault?.code === 'MULTIPLE_DOCS') throw noYaml('It holds several documents; a plan is one')
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
