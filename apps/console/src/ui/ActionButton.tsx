import { Button, type ButtonProps, Tooltip } from '@mantine/core'
import { type ReactNode, useId } from 'react'

type ActionButtonProps = Omit<ButtonProps, 'disabled' | 'children'> & {
  /** Why it cannot be pressed now; null when it can. */
  readonly reason: string | null
  readonly onClick: () => void
  readonly children: ReactNode
  readonly type?: 'button' | 'submit'
}

/** A button that stays in its place when blocked, takes the keyboard's focus, and says why. */
export function ActionButton({ reason, onClick, children, type = 'button', ...rest }: ActionButtonProps) {
  const id = useId()
  const blocked =
    reason === null ? {} : { 'data-disabled': true, 'aria-disabled': true, 'aria-describedby': id }
  return (
    <>
      {/* The same element blocked or not: whoever has the focus on it keeps it when that changes. */}
      <Tooltip label={reason} disabled={reason === null}>
        <Button
          {...rest}
          {...blocked}
          type={reason === null ? type : 'button'}
          onClick={(event) => (reason === null ? onClick() : event.preventDefault())}
        >
          {children}
        </Button>
      </Tooltip>
      {/* Beside the button: inside, it would become part of the button's name. */}
      {reason !== null && (
        <span id={id} hidden>
          {reason}
        </span>
      )}
    </>
  )
}
