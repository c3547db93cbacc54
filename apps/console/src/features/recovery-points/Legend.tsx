import classes from './TimeLine.module.css'

/** The shapes of the time line and what they mean. */
export function Legend() {
  return (
    <div className={classes.legend} aria-hidden="true">
      <span>
        <svg width="12" height="12" aria-hidden="true">
          <rect x="2" y="1" width="2" height="10" fill="var(--ink-quiet)" />
          <rect x="7" y="4" width="2" height="7" fill="var(--ink-quiet)" />
        </svg>
        crash-consistent
      </span>
      <span>
        <svg width="12" height="12" aria-hidden="true">
          <path d="M6 1 L11 6 L6 11 L1 6 z" fill="var(--busy)" />
        </svg>
        application-consistent
      </span>
      <span>
        <svg width="12" height="12" aria-hidden="true">
          <circle cx="6" cy="6" r="4" fill="none" stroke="var(--good)" strokeWidth="1.6" />
          <circle cx="6" cy="6" r="1.6" fill="var(--good)" />
        </svg>
        verified: has booted
      </span>
      <span>
        <svg width="12" height="12" aria-hidden="true">
          <rect x="2" y="2" width="8" height="8" fill="var(--at-risk)" />
        </svg>
        pinned or in use
      </span>
      <span>
        <svg width="12" height="12" aria-hidden="true">
          <path d="M6 1 L11.5 11 L0.5 11 z" fill="var(--bad)" />
        </svg>
        suspicious
      </span>
    </div>
  )
}
