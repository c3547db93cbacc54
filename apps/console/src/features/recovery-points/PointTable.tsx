import { Table, UnstyledButton } from '@mantine/core'
import { useVirtualizer } from '@tanstack/react-virtual'
import { formatBytes } from '@understudy/base/bytes'
import { useRef } from 'react'
import { formatDateTime, zoneName } from '../../lib/format.ts'
import { When } from '../../ui/When.tsx'
import { wordsOfPoint } from './point-words.ts'
import type { TimedPoint } from './time-line-layout.ts'

type PointTableProps = {
  /** Oldest first, as the time line has them; shown newest first. */
  readonly points: readonly TimedPoint[]
  readonly selectedId: string | null
  readonly onSelect: (pointId: string) => void
}

const rowHeight = 35

/** The same points as lines of text. Only those in sight are in the document. */
export function PointTable({ points, selectedId, onSelect }: PointTableProps) {
  const frame = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: points.length,
    getScrollElement: () => frame.current,
    estimateSize: () => rowHeight,
    overscan: 10,
  })
  const items = virtual.getVirtualItems()
  const before = items[0]?.start ?? 0
  const after = virtual.getTotalSize() - (items.at(-1)?.end ?? 0)
  return (
    <section
      ref={frame}
      style={{ overflow: 'auto', maxHeight: 420 }}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls is reached by keyboard.
      tabIndex={0}
      aria-label="Recovery points as a list"
    >
      <Table stickyHeader miw={640}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Instant, {zoneName()}</Table.Th>
            <Table.Th>Age</Table.Th>
            <Table.Th>Kind</Table.Th>
            <Table.Th ta="right">Changed</Table.Th>
            <Table.Th ta="right">Stored</Table.Th>
            <Table.Th>Note</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {before > 0 && (
            <tr>
              <td colSpan={6} style={{ height: before, padding: 0 }} />
            </tr>
          )}
          {items.map((item) => {
            const timed = points[points.length - 1 - item.index]
            if (!timed) return null
            const { point } = timed
            return (
              <Table.Tr
                key={point.id}
                aria-selected={point.id === selectedId}
                style={{ height: rowHeight }}
                bg={
                  point.id === selectedId
                    ? 'color-mix(in srgb, var(--accent) 12%, transparent)'
                    : 'transparent'
                }
              >
                <Table.Td>
                  <UnstyledButton
                    fz="sm"
                    className="number"
                    td="underline"
                    style={{ textDecorationColor: 'var(--line)', textUnderlineOffset: 3 }}
                    onClick={() => onSelect(point.id)}
                  >
                    {formatDateTime(point.instant)}
                  </UnstyledButton>
                </Table.Td>
                <Table.Td>
                  <When at={point.instant} />
                </Table.Td>
                <Table.Td>{wordsOfPoint(point)}</Table.Td>
                <Table.Td ta="right" className="number">
                  {formatBytes(point.changedBytes)}
                </Table.Td>
                <Table.Td ta="right" className="number">
                  {formatBytes(point.storedBytes)}
                </Table.Td>
                <Table.Td>{point.note}</Table.Td>
              </Table.Tr>
            )
          })}
          {after > 0 && (
            <tr>
              <td colSpan={6} style={{ height: after, padding: 0 }} />
            </tr>
          )}
        </Table.Tbody>
      </Table>
    </section>
  )
}
