// One row a machine, however many there are: only what is in sight is in the document.
import { Checkbox, UnstyledButton } from '@mantine/core'
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react'
import { useVirtualizer } from '@tanstack/react-virtual'
import {
  type FocusEvent,
  type KeyboardEvent,
  type MouseEvent,
  memo,
  useCallback,
  useRef,
  useState,
} from 'react'
import { isPlainClick } from '../../ui/plain-click.ts'
import classes from './MachineTable.module.css'
import type { MachineColumn } from './machine-columns.tsx'
import type { MachineRow } from './machine-rows.ts'

type MachineTableProps = {
  readonly rows: readonly MachineRow[]
  readonly columns: readonly MachineColumn[]
  readonly sort: string
  readonly onSort: (sort: string) => void
  readonly chosen: ReadonlySet<string>
  /** A state setter: the same function for the life of the page, so that rows in sight need not be drawn again. */
  readonly onChoose: (change: (before: ReadonlySet<string>) => ReadonlySet<string>) => void
  readonly onOpen: (machineId: string) => void
}

const rowHeight = 40

/** Arrow keys, Page Up and Down, Home and End move; Enter opens; Space chooses. */
export function MachineTable(props: MachineTableProps) {
  const { rows, columns, sort, onSort, chosen, onChoose, onOpen } = props
  const frame = useRef<HTMLDivElement>(null)
  const [active, setActive] = useState(0)
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => frame.current,
    estimateSize: () => rowHeight,
    overscan: 8,
  })
  const template = `42px ${columns.map(({ width, grows }) => (grows ? `minmax(${width}px, 1fr)` : `${width}px`)).join(' ')}`
  const least = columns.reduce((sum, { width }) => sum + width, 42)
  const at = Math.min(active, rows.length - 1)
  const items = virtual.getVirtualItems()
  const slots = useRef(1)
  slots.current = Math.max(slots.current, items.length)

  const choose = useCallback(
    (id: string): void =>
      onChoose((before) => {
        const next = new Set(before)
        if (!next.delete(id)) next.add(id)
        return next
      }),
    [onChoose],
  )
  const move = (to: number): void => {
    const next = Math.min(rows.length - 1, Math.max(0, to))
    setActive(next)
    virtual.scrollToIndex(next, { align: 'auto' })
  }
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget) return
    const row = rows[at]
    const steps: Readonly<Record<string, () => void>> = {
      ArrowDown: () => move(at + 1),
      ArrowUp: () => move(at - 1),
      PageDown: () => move(at + 15),
      PageUp: () => move(at - 15),
      Home: () => move(0),
      End: () => move(rows.length - 1),
      Enter: () => row && onOpen(row.id),
      ' ': () => row && choose(row.id),
    }
    const step = steps[event.key]
    if (!step) return
    event.preventDefault()
    step()
  }
  // Nothing in a row may keep the focus: when it is used again for another machine, Space would choose that one.
  const onFocus = ({ target, currentTarget }: FocusEvent<HTMLElement>): void => {
    if (target.closest('[role=row][id]')) currentTarget.focus({ preventScroll: true })
  }
  const onClick = (event: MouseEvent): void => {
    const link = event.target instanceof Element ? event.target.closest('a[data-machine]') : null
    const id = link?.getAttribute('data-machine')
    if (!id || !isPlainClick(event)) return
    event.preventDefault()
    onOpen(id)
  }
  const all = rows.length > 0 && rows.every(({ id }) => chosen.has(id))

  return (
    // biome-ignore lint/a11y/useSemanticElements: a table element cannot hold rows that are not in the document.
    <div
      ref={frame}
      role="grid"
      className={classes.grid}
      tabIndex={0}
      aria-label="Machines"
      aria-rowcount={rows.length + 1}
      aria-colcount={columns.length + 1}
      aria-multiselectable
      aria-activedescendant={rows[at] ? `row-${rows[at].id}` : undefined}
      onKeyDown={onKeyDown}
      onFocus={onFocus}
      onClick={onClick}
      style={{
        height: Math.min(rows.length * rowHeight + 38, 5000),
        maxHeight: 'max(320px, calc(100vh - 250px))',
      }}
    >
      {/* biome-ignore lint/a11y/useSemanticElements: see above. */}
      {/* biome-ignore lint/a11y/useFocusableInteractive: the grid holds the focus. */}
      <div
        role="row"
        className={classes.head}
        style={{ gridTemplateColumns: template, minWidth: least }}
        aria-rowindex={1}
      >
        {/* biome-ignore lint/a11y/useSemanticElements: see above. */}
        {/* biome-ignore lint/a11y/useFocusableInteractive: the grid holds the focus. */}
        <div role="columnheader" className={classes.cell}>
          <Checkbox
            size="xs"
            aria-label="Choose all that are listed"
            checked={all}
            indeterminate={!all && rows.some(({ id }) => chosen.has(id))}
            onChange={() => onChoose(() => (all ? new Set() : new Set(rows.map(({ id }) => id))))}
          />
        </div>
        {columns.map((column) => (
          <Head key={column.key} column={column} sort={sort} onSort={onSort} />
        ))}
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: see above. */}
      <div role="rowgroup" style={{ height: virtual.getTotalSize(), minWidth: least, position: 'relative' }}>
        {items.map((item) => {
          const row = rows[item.index]
          if (!row) return null
          return (
            <Row
              // Whatever leaves at one end is used again at the other: new text in elements that are there already.
              key={item.index % slots.current}
              row={row}
              index={item.index}
              top={item.start}
              columns={columns}
              template={template}
              chosen={chosen.has(row.id)}
              active={item.index === at}
              onChoose={choose}
            />
          )
        })}
      </div>
    </div>
  )
}

type HeadProps = {
  readonly column: MachineColumn
  readonly sort: string
  readonly onSort: (sort: string) => void
}

function Head({ column, sort, onSort }: HeadProps) {
  const by = column.sort
  const direction = by === undefined ? null : sort === by ? 'up' : sort === `-${by}` ? 'down' : null
  return (
    // biome-ignore lint/a11y/useSemanticElements: a table element cannot hold rows that are not in the document.
    // biome-ignore lint/a11y/useFocusableInteractive: the grid holds the focus.
    <div
      role="columnheader"
      className={classes.cell}
      data-right={column.right || undefined}
      aria-sort={direction === null ? undefined : direction === 'up' ? 'ascending' : 'descending'}
    >
      {by === undefined ? (
        <span className={classes.sort}>{column.label}</span>
      ) : (
        <UnstyledButton className={classes.sort} onClick={() => onSort(direction === 'up' ? `-${by}` : by)}>
          {column.label}
          {direction === 'up' && <IconArrowUp size={13} aria-hidden />}
          {direction === 'down' && <IconArrowDown size={13} aria-hidden />}
        </UnstyledButton>
      )}
    </div>
  )
}

type RowProps = {
  readonly row: MachineRow
  readonly index: number
  readonly top: number
  readonly columns: readonly MachineColumn[]
  readonly template: string
  readonly chosen: boolean
  readonly active: boolean
  readonly onChoose: (id: string) => void
}

const Row = memo(function Row({ row, index, top, columns, template, chosen, active, onChoose }: RowProps) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a table element cannot hold rows that are not in the document.
    // biome-ignore lint/a11y/useFocusableInteractive: the grid holds the focus.
    <div
      role="row"
      id={`row-${row.id}`}
      aria-rowindex={index + 2}
      aria-selected={chosen}
      className={classes.row}
      data-chosen={chosen || undefined}
      data-active={active || undefined}
      style={{ gridTemplateColumns: template, transform: `translateY(${top}px)` }}
    >
      {/* biome-ignore lint/a11y/useSemanticElements: see above. */}
      {/* biome-ignore lint/a11y/useFocusableInteractive: the grid holds the focus. */}
      <div role="gridcell" className={classes.cell}>
        <input
          type="checkbox"
          className={classes.choose}
          tabIndex={-1}
          aria-label={`Choose ${row.name}`}
          checked={chosen}
          onChange={() => onChoose(row.id)}
        />
      </div>
      {columns.map((column) => (
        // biome-ignore lint/a11y/useSemanticElements: see above.
        // biome-ignore lint/a11y/useFocusableInteractive: the grid holds the focus.
        <div key={column.key} role="gridcell" className={classes.cell} data-right={column.right || undefined}>
          {column.cell(row)}
        </div>
      ))}
    </div>
  )
})
