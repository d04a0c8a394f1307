package master

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// verifying is a question whether usage is what the files come to.
type verifying struct {
	to     *actor.PID
	header *messages.Header
}

const (
	// surveyRows are added in one go: applying waits for that.
	surveyRows = 2000
	// surveyPatience is how long one step may go without an answer.
	surveyPatience = 10 * time.Second
)

// onVerify has the catalog add up every file. Who asks while that goes on hears its
// result too: it is that of its last moment.
func (b *Bursar) onVerify(ctx *runtime.Context, m *messages.VerifyQuotas) {
	if len(b.verifying) >= maxQuestions {
		ctx.Reply(&messages.VerifyQuotasReply{Header: messages.ReplyHeader(m.Header), Error: messages.FromError(
			model.Errorf(model.CodeOverloaded, "verify quotas", "%d such questions wait already; try again", len(b.verifying)))})
		return
	}
	b.verifying = append(b.verifying, verifying{to: ctx.Sender(), header: messages.ReplyHeader(m.Header)})
	if len(b.verifying) == 1 || ctx.Now().Sub(b.surveyed) > surveyPatience {
		b.survey(ctx, true)
	}
}

// survey goes on with the next rows until there are no more.
func (b *Bursar) survey(ctx *runtime.Context, begin bool) {
	b.surveyed = ctx.Now()
	b.ask(ctx, &messages.LookupItem{Kind: &messages.LookupItem_SurveyUsage{
		SurveyUsage: &messages.SurveyUsage{Begin: begin, Rows: surveyRows},
	}}, func(ctx *runtime.Context, a *messages.LookupAnswer) {
		s := a.GetSurveyUsage()
		switch {
		case s.GetError() == nil && s.GetGone():
			b.survey(ctx, true) // the catalog has been loaded anew meanwhile
			return
		case s.GetError() == nil && !s.GetDone():
			b.survey(ctx, false)
			return
		}
		asked := b.verifying
		b.verifying = nil
		for _, v := range asked {
			ctx.SendBulk(v.to, &messages.VerifyQuotasReply{
				Header: v.header, Error: s.GetError(), Tenants: s.GetTenants(), Files: s.GetFiles(), Applied: s.GetApplied(), Differences: s.GetDifferences(),
			})
		}
	})
}
