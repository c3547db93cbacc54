// Sites as boxes, replication as arrows between them: red and broken where it is. Plain SVG, laid out in a row or two.
import { Text } from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import type { Overview } from '@understudy/contract/overview'
import { isPlainClick } from '../../ui/plain-click.ts'
import { fillOf, inkOf, type Tone } from '../../ui/tone.ts'
import { box, DETOUR, linkPath, type Place } from './link-path.ts'

type Site = Overview['sites'][number]
type Link = Overview['links'][number]

const toneOfSite: Record<Site['health'], Tone> = {
  unknown: 'off',
  healthy: 'good',
  degraded: 'at-risk',
  unreachable: 'bad',
}
const wordsOfSite: Record<Site['health'], string> = {
  unknown: 'not checked yet',
  healthy: 'healthy',
  degraded: 'degraded',
  unreachable: 'unreachable',
}

type SiteMapProps = {
  readonly overview: Pick<Overview, 'sites' | 'links'>
  /** On a wall: as large as there is room for. */
  readonly fill?: boolean
}

export function SiteMap({ overview, fill = false }: SiteMapProps) {
  const navigate = useNavigate()
  const columns = Math.min(3, Math.max(1, overview.sites.length))
  const rows = Math.ceil(overview.sites.length / columns)
  const place = new Map(overview.sites.map((site, index) => [site.id, placeOf(index, columns)]))
  const width = columns * box.width + (columns - 1) * box.gapX
  const arrows = overview.links.flatMap((link) => {
    const from = place.get(link.sourceSiteId)
    const to = place.get(link.targetSiteId)
    const back = overview.links.some(
      (other) => other.sourceSiteId === link.targetSiteId && other.targetSiteId === link.sourceSiteId,
    )
    return from && to ? [{ link, path: linkPath(from, to, back) }] : []
  })
  const roomFor = (side: 'above' | 'below'): number =>
    arrows.some(({ path }) => path.detour === side) ? DETOUR : 0
  const top = roomFor('above')
  const height = top + rows * box.height + (rows - 1) * box.gapY + roomFor('below')

  return (
    <div style={{ overflowX: fill ? 'hidden' : 'auto', padding: fill ? '4%' : '18px 14px' }}>
      <svg
        viewBox={`-2 ${-2 - top} ${width + 4} ${height + 4}`}
        width="100%"
        style={{
          ...(fill ? {} : { maxWidth: width * 1.25, minWidth: width * 0.8 }),
          display: 'block',
          margin: '0 auto',
        }}
      >
        <title>Sites and the replication between them</title>
        {arrows.map(({ link, path }) => (
          <Arrow
            key={`${link.sourceSiteId} ${link.targetSiteId}`}
            link={link}
            path={path}
            onOpen={() =>
              void navigate({ to: '/machines', search: { siteId: link.targetSiteId, show: 'protected' } })
            }
          />
        ))}
        {overview.sites.map((site) => {
          const at = place.get(site.id) ?? { x: 0, y: 0 }
          return (
            <a
              key={site.id}
              href={`/sites/${site.id}`}
              onClick={(event) => {
                if (!isPlainClick(event)) return
                event.preventDefault()
                void navigate({ to: '/sites/$siteId', params: { siteId: site.id } })
              }}
            >
              <g transform={`translate(${at.x} ${at.y})`}>
                <rect
                  width={box.width}
                  height={box.height}
                  rx={10}
                  fill="var(--panel-quiet)"
                  stroke={site.health === 'unreachable' ? fillOf('bad') : 'var(--line)'}
                  strokeWidth={1.5}
                />
                <circle cx={18} cy={22} r={5} fill={fillOf(toneOfSite[site.health])} />
                <text x={31} y={27} fontSize={14} fontWeight={600} fill="var(--ink)">
                  {site.name.length > 20 ? `${site.name.slice(0, 19)}…` : site.name}
                </text>
                <text x={14} y={47} fontSize={11.5} fill="var(--ink-quiet)">
                  {site.machines} {site.machines === 1 ? 'machine' : 'machines'} · {site.replicas}{' '}
                  {site.replicas === 1 ? 'replica' : 'replicas'}
                </text>
                <text x={14} y={63} fontSize={11.5} fill={inkOf(toneOfSite[site.health])}>
                  {site.platform === 'simulated' ? 'simulated · ' : ''}
                  {site.emulated ? 'emulated · ' : ''}
                  {wordsOfSite[site.health]}
                </text>
              </g>
            </a>
          )
        })}
      </svg>
      {overview.links.length === 0 && (
        <Text size="sm" c="var(--ink-quiet)" ta="center" mt="sm">
          Nothing is replicated yet.
        </Text>
      )}
    </div>
  )
}

const placeOf = (index: number, columns: number): Place => ({
  x: (index % columns) * (box.width + box.gapX),
  y: Math.floor(index / columns) * (box.height + box.gapY),
})

type ArrowProps = {
  readonly link: Link
  /** To the machines that it stands for. */
  readonly onOpen: () => void
  readonly path: ReturnType<typeof linkPath>
}

function Arrow({ link, onOpen, path }: ArrowProps) {
  const broken = link.health === 'bad'
  const id = `tip-${link.sourceSiteId}-${link.targetSiteId}`
  return (
    <a
      href={`/machines?siteId=${encodeURIComponent(link.targetSiteId)}&show=protected`}
      onClick={(event) => {
        if (!isPlainClick(event)) return
        event.preventDefault()
        onOpen()
      }}
    >
      <title>{`${link.protections} protections, ${broken ? 'broken' : link.health === 'at-risk' ? 'at risk' : 'working'}`}</title>
      {/* A line alone is hard to hit. */}
      <path d={path.line} fill="none" stroke="transparent" strokeWidth={24} />
      <marker id={id} viewBox="0 0 8 8" refX={5} refY={4} markerWidth={6} markerHeight={6} orient="auto">
        <path d="M0 0 L8 4 L0 8 z" fill={fillOf(link.health)} />
      </marker>
      <path
        d={path.line}
        fill="none"
        stroke={fillOf(link.health)}
        strokeWidth={2.5}
        strokeDasharray={broken ? '4 5' : undefined}
        markerEnd={`url(#${id})`}
      />
      <text x={path.label.x} y={path.label.y} fontSize={11.5} textAnchor="middle" fill={inkOf(link.health)}>
        {link.protections} {link.protections === 1 ? 'machine' : 'machines'}
      </text>
    </a>
  )
}
