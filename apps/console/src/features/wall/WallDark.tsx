import classes from './WallFrame.module.css'

/** A screen whose link was revoked, or has expired: nothing of what it showed stays. */
export function WallDark() {
  return (
    <main className={classes.dark} id="main" role="alert">
      <h1>This display link has ended</h1>
      <p>It was revoked, or has expired. An owner makes a new one: Settings, Display links.</p>
    </main>
  )
}
