import { useEffect, useState } from 'react'

/**
 * For a dialog that is made when it opens and gone when it closes: the focus goes back to the control that opened it.
 * The item of a menu is gone by then; its menu's button stands for it.
 */
export function useFocusBack(): void {
  // Read while the dialog is being made: by the time it is in the document, a menu may have left it.
  const [opener] = useState(() => standingFor(document.activeElement))
  useEffect(
    () => () => {
      // After the dialog has left the document: what had the focus in it is gone, and the page as a whole has it.
      setTimeout(() => {
        if (document.activeElement === document.body) focusOn(opener)
      })
    },
    [opener],
  )
}

function standingFor(element: Element | null): Element | null {
  const button = element?.closest('[role=menu]')?.getAttribute('aria-labelledby')
  return button ? document.getElementById(button) : element
}

/** Where the opener has gone as well, the content of the page is the nearest place. */
function focusOn(opener: Element | null): void {
  const to = opener?.isConnected && opener !== document.body ? opener : document.getElementById('main')
  if (to instanceof HTMLElement) to.focus({ preventScroll: true })
}
