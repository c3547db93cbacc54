// One line of what a step does, for its card. Pure.

import { formatDuration } from '../../lib/format.ts'
import type { ActionOf, ItemId, SiteId, StepAction } from './plan-draft.ts'

type Place =
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'machine'; readonly machine: ItemId }

/** What is still missing is shown as `…`. */
export function wordsOfAction(action: StepAction, nameOf: (id: ItemId | SiteId) => string): string {
  const said = (text: string): string => (text.trim() === '' ? '…' : text.trim())
  const placed = (place: Place): string =>
    place.kind === 'machine' ? nameOf(place.machine) : said(place.address)
  switch (action.kind) {
    case 'script':
      return `${said(lastPart(action.command))} ${wordsOfScriptPlace(action.where, nameOf)}`
    case 'manual':
      return said(firstLine(action.instructions))
    case 'approval':
      return said(firstLine(action.question))
    case 'wait':
      return formatDuration(action.seconds)
    case 'probe': {
      const { check, until } = action
      const how = until === 'red' ? ' until it is gone' : ''
      if (check.kind === 'script') return `${said(lastPart(check.command))}${how}`
      const scheme = check.kind === 'http' ? check.scheme : 'tcp'
      return `${scheme}://${placed(check.target)}:${check.port}${check.kind === 'http' ? check.path : ''}${how}`
    }
    case 'http':
      return `${action.method} ${said(action.url)}`
    case 'dns':
      return `${said(action.recordName)} ${action.recordType} → ${placed(action.value)}`
    case 'load-balancer': {
      const { change } = action
      const what = change.kind === 'state' ? change.state : `${placed(change.to)}:${change.port}`
      return `${said(action.backend)}/${said(action.server)} → ${what}`
    }
    case 'traffic-manager':
      return `${said(action.profile)}/${said(action.endpoint)} → ${wordsOfTraffic(action.change, placed)}`
    case 'azure-load-balancer': {
      const { member, membership } = action
      const who =
        member.kind === 'entry' ? said(member.name) : member.machine === null ? '…' : nameOf(member.machine)
      return `${who} ${membership === 'in' ? 'into' : 'out of'} ${said(action.loadBalancer)}/${said(action.pool)}`
    }
    case 'azure-dns':
      return `${said(action.recordName)} ${action.recordType} → ${action.values.map(placed).join(', ') || '…'}`
    case 'azure-run-command':
      return `${said(firstLine(action.script))} in ${action.machine === null ? '…' : nameOf(action.machine)}`
  }
}

function wordsOfTraffic(
  change: ActionOf<'traffic-manager'>['change'],
  placed: (place: Place) => string,
): string {
  switch (change.kind) {
    case 'status':
      return change.status
    case 'weight':
      return `weight ${change.weight}`
    case 'priority':
      return `priority ${change.priority}`
    case 'target':
      return placed(change.to)
  }
}

function wordsOfScriptPlace(
  where: ActionOf<'script'>['where'],
  nameOf: (id: ItemId | SiteId) => string,
): string {
  switch (where.kind) {
    case 'server':
      return 'on the server'
    case 'site':
      return `on the host of ${nameOf(where.site)}`
    case 'guest':
      return `in ${nameOf(where.machine)}`
  }
}

const firstLine = (text: string): string => text.trim().split('\n')[0] ?? ''
const lastPart = (path: string): string => path.split('/').at(-1) ?? path
