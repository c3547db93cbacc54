import { IconAlertTriangleFilled, IconArrowLeft, IconMaximize } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { formatTick } from '../../lib/format.ts'
import type { Freshness } from './freshness.ts'
import classes from './WallFrame.module.css'
import { type WallLayout, wallLayouts, wordsOfLayout } from './wall-rotation.ts'

type WallFrameProps = {
  readonly title: string
  readonly shown: WallLayout
  readonly cycle: number | undefined
  readonly freshness: Freshness
  readonly now: number
  /** Opened with a display link: it leads nowhere. */
  readonly display: boolean
  readonly children: ReactNode
}

/** The whole screen without any chrome: a title, the time, and one picture. What it shows is dimmed when it is old. */
export function WallFrame({ title, shown, cycle, freshness, now, display, children }: WallFrameProps) {
  const isOld = freshness.kind === 'stale'
  return (
    <div className={classes.wall} data-layout={shown}>
      <header className={classes.head}>
        <h1 className={classes.title}>{title}</h1>
        <nav className={classes.controls} aria-label="Wall display">
          {!display && <Ways shown={shown} cycle={cycle} />}
          <button
            type="button"
            className={classes.control}
            onClick={() => void document.documentElement.requestFullscreen()}
          >
            <IconMaximize aria-hidden /> Full screen
          </button>
        </nav>
        <time className={classes.clock} dateTime={new Date(now).toISOString()}>
          {formatTick(now, 1)}
        </time>
      </header>
      <div role="status" aria-live="assertive">
        {(freshness.kind === 'stale' || freshness.kind === 'delayed') && (
          <p className={classes.warning} data-kind={freshness.kind}>
            <IconAlertTriangleFilled aria-hidden />
            {freshness.words}
          </p>
        )}
      </div>
      <main
        className={classes.picture}
        data-old={isOld || undefined}
        data-still={display || undefined}
        id="main"
        tabIndex={-1}
      >
        {children}
      </main>
    </div>
  )
}

/** For whoever sets a wall up: to the other pictures, and back to work. */
function Ways({ shown, cycle }: Pick<WallFrameProps, 'shown' | 'cycle'>) {
  return (
    <>
      <Link to="/" className={classes.control}>
        <IconArrowLeft aria-hidden /> Leave
      </Link>
      {wallLayouts.map((layout) => (
        <Link
          key={layout}
          to="/wall/$layout"
          params={{ layout }}
          search={{}}
          className={classes.control}
          aria-current={layout === shown ? 'page' : undefined}
        >
          {wordsOfLayout[layout]}
        </Link>
      ))}
      <Link to="/wall" search={{ cycle: cycle === undefined ? 30 : undefined }} className={classes.control}>
        {cycle === undefined ? 'Cycle' : 'Stop the cycle'}
      </Link>
    </>
  )
}
